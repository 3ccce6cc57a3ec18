"""Whether what a paper says holds here: by the judges that it is about, corrected for all that one table says.

Of a claim on m judges that needs k of them (all, or two of three), q_j is the one-sided p of judge j by the t of
`results.p_value`, and q_(1) ≤ … ≤ q_(m). The partial conjunction (Benjamini and Heller 2008, Biometrics 64, 1215–1222)
of "k or more lie above" is (m − k + 1) q_(k), that of "m − k + 1 or more lie below", which rules k out, k (1 − q_(k)):

    p = min(1, 2 (m − k + 1) q_(k), 2 k (1 − q_(k)))

The judge at place k decides both; of one judge p is that of the two-sided test. p̃ is p by Holm over all claims of the
table, those that have not run too, so that what is said of one does not hang on which others have run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.exhibit import Claim
from tastemaker.reproduce.profile import Judge, Profile
from tastemaker.reproduce.results import Results, crossed, p_value, reading

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Judged:
    """A claim whose two sides have run: by how much the better one lies above, by every judge of the profile.

    ``by`` are the judges that it is about, of which ``least`` must agree, ``margins`` what each lets pass, ``decides``
    the one at place k, and ``p`` that of the head of this file, after Holm.
    """

    claim: Claim
    seeds: int
    differences: Mapping[str, Interval]
    by: tuple[str, ...]
    least: int
    margins: Mapping[str, float]
    decides: str
    p: float

    @property
    def here(self) -> str:
        """What comes of it (`results.reading`)."""
        found, margin = self.differences[self.decides], self.margins[self.decides]
        return reading(Interval(found.value + margin, found.low + margin, found.high + margin), self.seeds, self.p)

    @property
    def plain(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        said = {"claim": self.claim.says, "whose": self.claim.whose, "seeds": self.seeds, "by": list(self.by)}
        differences = {name: asdict(found) for name, found in self.differences.items()}
        rule = {"least": self.least, "margins": dict(self.margins) if self.claim.margin else {}}
        return {**said, **rule, "differences": differences, "p": self.p, "here": self.here}


def judged(some: Sequence[Claim], results: Results, model: str) -> list[Judged]:
    """Those of the claims whose two sides have run."""
    found = [_judged(claim, results, model) for claim in some]
    adjusted = holm([1.0 if one is None else one.p for one in found])
    return [replace(one, p=p) for one, p in zip(found, adjusted, strict=True) if one is not None]


def judges_of(claim: Claim, profile: Profile) -> list[Judge]:
    """The judges that a claim is about.

    Where the profile has none of its metrics, as the small world, all its judges stand in, for a single metric the
    first.
    """
    named = [judge for judge in profile.judges if judge.name in claim.metrics]
    return named or list(profile.judges if len(claim.metrics) > 1 else profile.judges[:1])


def conjunction(q: Sequence[float], least: int) -> tuple[int, float]:
    """Which judge decides, by place in ``q``, and p of the head of this file."""
    decides = sorted(range(len(q)), key=q.__getitem__)[least - 1]
    above, below = (len(q) - least + 1) * q[decides], least * (1 - q[decides])
    return decides, min(1.0, 2 * above, 2 * below)


def tidy_claims(said: Sequence[Judged]) -> Iterator[dict[str, Any]]:
    """Rows of CSV: every judge's difference, and the p by which a claim is read."""
    for one in said:
        of = {"row": one.claim.says, "seeds": one.seeds}
        for name, found in one.differences.items():
            yield {**of, "judge": name, "figure": "claim", **asdict(found)}
        yield {**of, "judge": one.decides, "figure": "p (Holm)", "value": one.p}


def _judged(claim: Claim, results: Results, model: str) -> Judged | None:
    """``p`` is not yet corrected."""
    seeds = results.seeds_of(claim.better, claim.worse)
    if not seeds:
        return None
    names = [judge.name for judge in results.shop.profile.judges]
    apart = {name: _apart(claim, results, name, seeds, model) for name in names}
    by = [judge.name for judge in judges_of(claim, results.shop.profile)]
    margins = {name: claim.margin * float(results.scores(None, name, [0], model).std()) for name in by}
    least = math.ceil(round(claim.share * len(by), 9))
    decides, p = conjunction([_above(apart[name] + margins[name]) for name in by], least)
    differences = {name: crossed(d) for name, d in apart.items()}
    return Judged(claim, len(seeds), differences, tuple(by), least, margins, by[decides], p)


def _apart(claim: Claim, results: Results, judge: str, seeds: Sequence[int], model: str) -> Floats:
    one, two = (results.scores(arm, judge, seeds, model) for arm in (claim.better, claim.worse))
    return one - two


def _above(d: Floats) -> float:
    """One-sided p of "the mean is not above 0"."""
    p = p_value(d)
    return p / 2 if d.mean() > 0 else 1 - p / 2
