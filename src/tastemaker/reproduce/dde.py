"""DDE's tables 2–4 and its figures, as arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tastemaker.reproduce import inception_exhibit, published
from tastemaker.reproduce.arm import SLICES, Arm
from tastemaker.reproduce.dde_corrections import Corrections
from tastemaker.reproduce.dde_figures import Beats, Coefficients
from tastemaker.reproduce.dde_gains import Gains
from tastemaker.reproduce.dde_saturation import Saturation
from tastemaker.reproduce.exhibit import Claim, Exhibit
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.side_by_side import SideBySide
from tastemaker.reproduce.tables import Row, Table

LABELS = {
    "uniform": "Uniform",
    "discounted": "Discounted",
    "dde": "DDE",
    "dde-single": "DDE-single",
    "dde-step": "DDE-step",
}
SHOWN = ("Uniform", "Discounted", "DDE")
MARGIN = 0.1
"""Of a standard deviation of the base's scores: what still counts as "as good as", half of what is called small."""


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
    """Gains, table 4 where there is a classifier for it, and the paper's figures, for every model of the profile."""
    for model in profile.models:
        suffix = f"-{model}" if len(profile.models) > 1 else ""
        arms = {label: Arm(model, credit=name) for name, label in LABELS.items()}
        scored = {"SFT": Arm(model, loss="sft")} | arms
        yield Gains(f"gains{suffix}", "dde", f"DDE: gains over the base ({model})", model, arms["DDE"])
        yield from inception_exhibit.exhibits(profile, scored, model, suffix)
        yield Coefficients(f"coefficients{suffix}", "dde", f"DDE: credit against t ({model})", model, *_split(arms))
        stepwise = {label: arms[label] for label in ("DDE", "DDE-step")}
        title = f"DDE: convergence and distribution of the corrections ({model})"
        yield Corrections(f"corrections{suffix}", "dde", title, model, *_split(stepwise))
        title, learnt = f"DDE: saturation of the log-sigmoid ({model})", ("Uniform", "DDE-single")
        yield Saturation(f"saturation{suffix}", "dde", title, model, *_split({name: arms[name] for name in learnt}))
        title, some = f"DDE: side by side ({model})", {"SFT": scored["SFT"], **{name: arms[name] for name in SHOWN}}
        yield SideBySide(f"looks{suffix}", "dde", title, model, *_split(some))
        yield Beats(f"beats{suffix}", "dde", f"DDE: beat ratios against the base ({model})", model, *_split(scored))


def _split(named: dict[str, Arm]) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    return tuple(named.values()), tuple(named)


def _credits(model: str, suffix: str) -> Table:
    arms, sft = {name: Arm(model, credit=name) for name in LABELS}, Arm(model, loss="sft")
    rows = [Row("base", None), Row("SFT", sft), *(Row(label, arms[name]) for name, label in LABELS.items())]
    title = f"DDE, tables 2/3: credit assignment ({model})"
    return Table(f"dde{suffix}", "dde", title, model, tuple(rows), (*_printed(arms), *_own(arms, sft)))


def _printed(arms: Mapping[str, Arm]) -> Iterator[Claim]:
    """What the paper says of its method and ablation; of "two of three" it does not say over which."""
    whole, single, three = arms["dde"], arms["dde-single"], published.DDE_METRICS
    yield Claim("DDE improves on the base", whole, None, metrics=three)
    yield Claim("DDE-single is as good as DDE or better", single, whole, metrics=three, margin=MARGIN)
    says = "DDE (both parts) improves two of three metrics, here over Uniform"
    yield Claim(says, whole, arms["uniform"], metrics=three, share=2 / 3)
    last = replace(arms["dde-step"], last=True)
    yield Claim("DDE-step falls below the base, at the end of training", None, last)


def _own(arms: Mapping[str, Arm], sft: Arm) -> Iterator[Claim]:
    """Checks: our source prints no order of the baselines."""
    yield Claim("Uniform beats SFT", arms["uniform"], sft, "ours")
    yield Claim("SFT beats the base", sft, None, "ours")
    yield Claim("DDE beats Uniform", arms["dde"], arms["uniform"], "ours")
    yield Claim("DDE beats Discounted", arms["dde"], arms["discounted"], "ours")


def _steps(model: str, suffix: str) -> Table:
    uniform, middle = Arm(model), Arm(model, credit="range-200-700")
    slices = {f"t/T in {low:.1f}–{high:.1f}": Arm(model, credit=f"slice-{low:.1f}-{high:.1f}") for low, high in SLICES}
    figures = () if model.startswith("sdxl") else (published.DDE_UNIFORM_CLIP,)
    rows = [Row("base", None), Row("all steps", uniform, None, figures), Row("t in 200–700", middle)]
    rows += [Row(label, arm) for label, arm in slices.items()]
    named = list(slices.values())
    claims = (
        Claim("t in 200–700 beats all steps", middle, uniform, metrics=("CLIP",)),
        Claim("t/T in 0–0.1 improves on the base", named[0], None),
        Claim("t/T in 0.3–0.4 improves on the base", named[1], None),
        Claim("t/T in 0.9–1 falls below the base, at the end of training", None, replace(named[-1], last=True)),
    )
    title, metrics = f"DDE: which steps are learned from ({model})", ("CLIP",) if figures else ()
    return Table(f"steps{suffix}", "dde", title, model, tuple(rows), claims, metrics, 3, "SD1.5" if figures else "")
