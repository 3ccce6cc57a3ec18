"""DDE's tables 2–4 and its figures, as arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tastemaker.reproduce import inception_exhibit
from tastemaker.reproduce.arm import SLICES, Arm
from tastemaker.reproduce.dde_corrections import Corrections
from tastemaker.reproduce.dde_figures import Beats, Coefficients
from tastemaker.reproduce.dde_saturation import Saturation
from tastemaker.reproduce.exhibit import Claim, Exhibit
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.tables import Row, Table

LABELS = {
    "uniform": "Uniform",
    "discounted": "Discounted",
    "dde": "DDE",
    "dde-single": "DDE-single",
    "dde-step": "DDE-step",
}


def exhibits(profile: Profile) -> list[Exhibit]:
    """Tables and figures."""
    return [*tables(profile), *figures(profile)]


def tables(profile: Profile) -> Iterator[Table]:
    """All of them, for every model of the profile."""
    several = len(profile.models) > 1
    for model in profile.models:
        yield _credits(model, f"-{model}" if several else "")
        yield _steps(model, f"-{model}" if several else "")


def figures(profile: Profile) -> Iterator[Exhibit]:
    """Table 4 where there is a classifier for it, and the paper's figures, for every model of the profile."""
    for model in profile.models:
        suffix = f"-{model}" if len(profile.models) > 1 else ""
        arms = {label: Arm(model, credit=name) for name, label in LABELS.items()}
        scored = {"SFT": Arm(model, loss="sft")} | arms
        yield from inception_exhibit.exhibits(profile, scored, model, suffix)
        yield Coefficients(f"coefficients{suffix}", "dde", f"DDE: credit against t ({model})", model, *_split(arms))
        stepwise = {label: arms[label] for label in ("DDE", "DDE-step")}
        title = f"DDE: convergence and distribution of the corrections ({model})"
        yield Corrections(f"corrections{suffix}", "dde", title, model, *_split(stepwise))
        title, learnt = f"DDE: saturation of the log-sigmoid ({model})", ("Uniform", "DDE-single")
        yield Saturation(f"saturation{suffix}", "dde", title, model, *_split({name: arms[name] for name in learnt}))
        yield Beats(f"beats{suffix}", "dde", f"DDE: beat ratios against the base ({model})", model, *_split(scored))


def _split(named: dict[str, Arm]) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    return tuple(named.values()), tuple(named)


def _credits(model: str, suffix: str) -> Table:
    arms = {name: Arm(model, credit=name) for name in LABELS}
    sft = Arm(model, loss="sft")
    rows = [Row("base", None), Row("SFT", sft), *(Row(label, arms[name]) for name, label in LABELS.items())]
    claims = (
        Claim("Uniform beats SFT", arms["uniform"], sft),
        Claim("SFT beats the base", sft, None),
        Claim("DDE beats Uniform", arms["dde"], arms["uniform"]),
        Claim("DDE beats Discounted", arms["dde"], arms["discounted"]),
        Claim("DDE-single is at least DDE", arms["dde-single"], arms["dde"]),
        Claim("DDE-step falls below the base, at the end of training", None, replace(arms["dde-step"], last=True)),
    )
    return Table(f"dde{suffix}", "dde", f"DDE, tables 2/3: credit assignment ({model})", model, tuple(rows), claims)


def _steps(model: str, suffix: str) -> Table:
    uniform, middle = Arm(model), Arm(model, credit="range-200-700")
    slices = {f"t/T in {low:.1f}–{high:.1f}": Arm(model, credit=f"slice-{low:.1f}-{high:.1f}") for low, high in SLICES}
    rows = [Row("base", None), Row("all steps", uniform), Row("t in 200–700", middle)]
    rows += [Row(label, arm) for label, arm in slices.items()]
    named = list(slices.values())
    claims = (
        Claim("t in 200–700 beats all steps", middle, uniform),
        Claim("t/T in 0–0.1 improves on the base", named[0], None),
        Claim("t/T in 0.3–0.4 improves on the base", named[1], None),
        Claim("t/T in 0.9–1 falls below the base, at the end of training", None, replace(named[-1], last=True)),
    )
    return Table(f"steps{suffix}", "dde", f"DDE: which steps are learned from ({model})", model, tuple(rows), claims)
