"""DPO-QSD's tables 1–4 and its figures, as arms and sets of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tastemaker.reproduce import published, qsd_pairs, study_exhibit
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.curve import Curve
from tastemaker.reproduce.exhibit import Claim, Exhibit
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.side_by_side import SideBySide
from tastemaker.reproduce.tables import Row, Table

TOP = 0.0533
Figures = tuple[float, ...]
NAMES = {"sd15": "SD1.5", "sdxl": "SDXL"}
"""What the paper calls its models."""
LOSSES = {"SLiC-HF": ("slic", TOP), "ORPO": ("orpo", 0.106)}


def exhibits(profile: Profile) -> list[Exhibit]:
    """Tables and figures."""
    studies = study_exhibit.exhibits(profile, lambda model: Arm(model, best(profile)))
    return [*tables(profile), *looks(profile), *curves(profile), *qsd_pairs.exhibits(best(profile)), *studies]


def tables(profile: Profile) -> Iterator[Table]:
    """All of them, for every model of the profile; tables 2–4 are of the first model, as in the paper."""
    first = next(iter(profile.models))
    yield from (_table1(profile, model) for model in profile.models)
    yield from (_table2(profile, first), _table3(profile, first), _table4(profile, first))


def looks(profile: Profile) -> Iterator[SideBySide]:
    """Figure 2: the base, DPO and DPO-QSD side by side."""
    for model in profile.models:
        arms, title = (Arm(model), Arm(model, best(profile))), f"QSD, figure 2: side by side ({model})"
        yield SideBySide(_key("figure2", profile, model), "qsd", title, model, arms, ("DPO", "DPO-QSD"))


def curves(profile: Profile) -> Iterator[Curve]:
    """Figures 3/4: each metric against samples used, best first against a drawn order, each pair once."""
    for model in profile.models:
        arms = (Arm(model, Pairs("best", _ranker(profile), 1.0, 1)), Arm(model, Pairs("all", passes=1)))
        title = f"Each metric against samples used ({model}; figures 3/4)"
        yield Curve(f"samples-{model}", "qsd", title, model, arms, ("QSD: best first", "random order"))


def best(profile: Profile, ranker: str = "", share: float = TOP) -> Pairs:
    """The best pairs by a ranker (the profile's first where none is named), of the paper's ``share``."""
    return Pairs("best", ranker or _ranker(profile), profile.share(share))


def _key(name: str, profile: Profile, model: str) -> str:
    """``name`` alone where the profile has one model."""
    return name if len(profile.models) == 1 else f"{name}-{model}"


def _ranker(profile: Profile) -> str:
    return next(iter(profile.rankers))


def _table1(profile: Profile, model: str) -> Table:
    everything, chosen = Arm(model), Arm(model, best(profile))
    drawn = Arm(model, Pairs("random", share=profile.share(TOP)))
    like = model if model in NAMES else "sd15"
    own = {name: published.TABLE1[like, name] for name in published.SHARES}
    rows = (
        Row("base", None),
        _row("DPO", everything, None, own, published.SHARES),
        _row("DPO-QSD", chosen, everything, own, published.SHARES),
        Row("as many at random (control)", drawn, everything),
    )
    claims = (
        _helps("QSD: the best pairs beat all pairs", chosen, everything),
        Claim("control: the best pairs beat as many at random", chosen, drawn, "ours"),
        Claim("DPO beats the base", everything, None, "ours"),
    )
    key = _key("table1", profile, model)
    table = _table(key, f"QSD, table 1: baseline and QSD ({model})", model, rows, claims)
    return replace(table, source=NAMES[like], printed=() if like == model else tuple(_sdxl()))


def _sdxl() -> Iterator[Row]:
    for name, share in published.SHARES.items():
        yield Row(f"SDXL {name} (published)", None, None, published.TABLE1["sdxl", name], share)


def _table2(profile: Profile, model: str) -> Table:
    rows, claims = [Row("base", None)], []
    for name, (loss, share) in LOSSES.items():
        everything, chosen = Arm(model, loss=loss), Arm(model, best(profile, share=share), loss)
        rows.append(_row(name, everything, None, published.TABLE2, published.TABLE2_SHARES))
        rows.append(_row(f"{name}-QSD", chosen, everything, published.TABLE2, published.TABLE2_SHARES))
        claims.append(_helps(f"QSD helps {name}", chosen, everything))
    return _table("table2", f"QSD, table 2: other losses ({model})", model, rows, claims)


def _table3(profile: Profile, model: str) -> Table:
    """The paper's four scorers in its order; a profile without them has its own, in its order, and theirs below."""
    everything, shares = Arm(model), published.TABLE3_SHARES
    scorers = [name for name in shares if name != "DPO"]
    here = [name for name in scorers if name in profile.rankers]
    rows, claims = [Row("base", None), _row("DPO", everything, None, published.TABLE3, shares)], []
    for ranker in here or profile.rankers:
        arm, label = Arm(model, best(profile, ranker, shares.get(ranker, TOP))), f"ranked by {ranker}"
        rows.append(Row(label, arm, everything, published.TABLE3.get(ranker, ()), shares.get(ranker)))
        says = f"{label} beats all pairs"
        claims.append(_helps(says, arm, everything) if here else Claim(says, arm, everything, "ours"))
    missing = [name for name in scorers if name not in here]
    alone = [Row(f"ranked by {name} (published)", None, None, published.TABLE3[name], shares[name]) for name in missing]
    return _table("table3", f"QSD, table 3: the scorer that ranks ({model})", model, rows, claims, alone)


def _table4(profile: Profile, model: str) -> Table:
    rows, claims = [Row("base", None)], []
    for rank, here in profile.ranks.items():
        rank_of = None if here == profile.models[model].rank else here
        everything, chosen = Arm(model, rank=rank_of), Arm(model, best(profile), rank=rank_of)
        called = f"rank {here}" if here == rank else f"rank {here} (the paper's {rank})"
        figures = {name: published.TABLE4[rank, name] for name in published.SHARES}
        pair = [_row("DPO", everything, None, figures, published.SHARES)]
        pair += [_row("DPO-QSD", chosen, everything, figures, published.SHARES)]
        rows += [replace(row, label=f"{row.label}, {called}") for row in pair]
        claims.append(_helps(f"QSD helps at {called}", chosen, everything))
    return _table("table4", f"QSD, table 4: LoRA ranks ({model})", model, rows, claims)


def _table(
    key: str, title: str, model: str, rows: Sequence[Row], claims: Sequence[Claim], printed: Sequence[Row] = ()
) -> Table:
    """With the paper's metrics; tables 2–4 are of SD1.5."""
    metrics, alone = published.QSD_METRICS, tuple(printed)
    return Table(key, "qsd", title, model, tuple(rows), tuple(claims), metrics, source=NAMES["sd15"], printed=alone)


def _row(name: str, arm: Arm, against: Arm | None, figures: Mapping[str, Figures], shares: Mapping[str, float]) -> Row:
    return Row(name, arm, against, figures[name], shares[name])


def _helps(says: str, better: Arm | None, worse: Arm) -> Claim:
    """The paper's tables have every metric higher."""
    return Claim(says, better, worse, metrics=published.QSD_METRICS)
