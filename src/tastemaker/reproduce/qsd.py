"""DPO-QSD's tables 1–4 and figures 1, 3/4 and 6/7, as arms and sets of pairs."""

from __future__ import annotations

from collections.abc import Iterator

from tastemaker.reproduce import published, qsd_pairs, study_exhibit
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.curve import Curve
from tastemaker.reproduce.exhibit import Claim, Exhibit
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.tables import Row, Table

TOP = 0.0533
LOSSES = {"SLiC-HF": ("slic", TOP), "ORPO": ("orpo", 0.106)}


def exhibits(profile: Profile) -> list[Exhibit]:
    """Tables and figures."""
    studies = study_exhibit.exhibits(profile, lambda model: Arm(model, best(profile)))
    return [*tables(profile), *curves(profile), *qsd_pairs.exhibits(best(profile)), *studies]


def tables(profile: Profile) -> Iterator[Table]:
    """All of them, for every model of the profile; tables 2–4 are of the first model, as in the paper."""
    first = next(iter(profile.models))
    yield from (_table1(profile, model) for model in profile.models)
    yield from (_table2(profile, first), _table3(profile, first), _table4(profile, first))


def curves(profile: Profile) -> Iterator[Curve]:
    """Figures 3/4: each metric against samples used, best first against a drawn order, each pair once."""
    for model in profile.models:
        arms = (Arm(model, Pairs("best", _ranker(profile), 1.0, 1)), Arm(model, Pairs("all", passes=1)))
        title = f"Each metric against samples used ({model}; figures 3/4)"
        yield Curve(f"samples-{model}", "qsd", title, model, arms, ("QSD: best first", "random order"))


def best(profile: Profile, ranker: str = "", share: float = TOP) -> Pairs:
    """The best pairs by a ranker (the profile's first where none is named), of the paper's ``share``."""
    return Pairs("best", ranker or _ranker(profile), profile.share(share))


def _ranker(profile: Profile) -> str:
    return next(iter(profile.rankers))


def _table1(profile: Profile, model: str) -> Table:
    everything, chosen = Arm(model), Arm(model, best(profile))
    drawn = Arm(model, Pairs("random", share=profile.share(TOP)))
    numbers = {name: figures for (of, name), figures in published.TABLE1.items() if of in (model, "sd15")}
    rows = (
        Row("base", None),
        Row("DPO", everything, None, numbers["DPO"]),
        Row("DPO-QSD", chosen, everything, numbers["DPO-QSD"]),
        Row("as many at random (control)", drawn, everything),
    )
    claims = (
        Claim("QSD: the best pairs beat all pairs", chosen, everything),
        Claim("control: the best pairs beat as many at random", chosen, drawn),
        Claim("DPO beats the base", everything, None),
    )
    key = "table1" if len(profile.models) == 1 else f"table1-{model}"
    return Table(key, "qsd", f"QSD, table 1: baseline and QSD ({model})", model, rows, claims, published.QSD_METRICS)


def _table2(profile: Profile, model: str) -> Table:
    rows, claims = [Row("base", None)], []
    for name, (loss, share) in LOSSES.items():
        everything, chosen = Arm(model, loss=loss), Arm(model, best(profile, share=share), loss)
        rows.append(Row(name, everything, None, published.TABLE2[name]))
        rows.append(Row(f"{name}-QSD", chosen, everything, published.TABLE2[f"{name}-QSD"]))
        claims.append(Claim(f"QSD helps {name}", chosen, everything))
    title = f"QSD, table 2: other losses ({model})"
    return Table("table2", "qsd", title, model, tuple(rows), tuple(claims), published.QSD_METRICS)


def _table3(profile: Profile, model: str) -> Table:
    """The paper's four scorers in its order; where the profile has others they take their places, weakest first."""
    everything = Arm(model)
    rows = [Row("base", None), Row("DPO", everything, None, published.TABLE3["DPO"])]
    named = set(profile.rankers) & set(published.TABLE3_SHARES)
    for ranker in profile.rankers:
        share = published.TABLE3_SHARES[ranker] if named else TOP
        arm = Arm(model, best(profile, ranker, share))
        rows.append(Row(f"ranked by {ranker}", arm, everything, published.TABLE3.get(ranker, ())))
    claims = tuple(Claim(f"{row.label} beats all pairs", row.arm, everything) for row in rows[2:])
    title = f"QSD, table 3: the scorer that ranks ({model})"
    return Table("table3", "qsd", title, model, tuple(rows), claims, published.QSD_METRICS)


def _table4(profile: Profile, model: str) -> Table:
    rows, claims = [Row("base", None)], []
    for rank, here in profile.ranks.items():
        rank_of = None if here == profile.models[model].rank else here
        everything, chosen = Arm(model, rank=rank_of), Arm(model, best(profile), rank=rank_of)
        rows.append(Row(f"DPO, rank {here}", everything, None, published.TABLE4[rank, "DPO"]))
        rows.append(Row(f"DPO-QSD, rank {here}", chosen, everything, published.TABLE4[rank, "DPO-QSD"]))
        claims.append(Claim(f"QSD helps at rank {here}", chosen, everything))
    title = f"QSD, table 4: LoRA ranks ({model})"
    return Table("table4", "qsd", title, model, tuple(rows), tuple(claims), published.QSD_METRICS)
