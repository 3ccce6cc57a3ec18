"""Scores of finished runs: arm → judge → [seeds, prompts], and paired differences with intervals over both.

    d_sn = score of one arm − another's, seed s of S, prompt n of N, same prompt and same initial noise
    d̄ ± t_{S−1} √(s_S² / S + s_N² / N)

s_S² is the variance of the seeds' means, s_N² that of the prompts' means: the two crossed sources of chance. Each holds
a little of the residual's variance too, so the interval is on the wide side. It needs two seeds at least.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.base.files import read_json
from tastemaker.evaluate.winrate import Interval, wilson
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.runs import Shop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MOST_SEEDS = 64
"""Seeds are looked for from 0 on."""
SURE = 5
"""Seeds from which on a sentence may rest on a figure; below it all is a screening."""
ALPHA = 0.05
"""Chance of a wrong sentence."""


@dataclass(frozen=True)
class Results:
    """What is finished in a shop."""

    shop: Shop

    def seeds_of(self, *arms: Arm | None) -> list[int]:
        """The seeds that all these arms have finished; None is the base, which has one drawing for all."""
        return [seed for seed in range(MOST_SEEDS) if all(arm is None or self._has(arm, seed) for arm in arms)]

    def has_base(self, model: str) -> bool:
        """Whether the base's images are scored, without which no arm has a difference."""
        return self.shop.base(model).done

    def _has(self, arm: Arm, seed: int) -> bool:
        return self.shop.scores(arm, seed).exists()  # a whole stage would draw the prompts, for its costs

    def scores(self, arm: Arm | None, judge: str, seeds: Sequence[int], model: str) -> Floats:
        """[S, N] of an arm, or of the base ``model`` where ``arm`` is None, times the judge's scale."""
        import numpy as np

        shop = self.shop
        files = [shop.base(model).out if arm is None else shop.scores(arm, seed) for seed in seeds]
        raw = np.array([read_json(file)[judge] for file in files], np.float64)
        return raw * shop.profile.judge(judge).scale

    def difference(self, arm: Arm, other: Arm | None, judge: str) -> Floats:
        """[S, N]: the arm's scores minus the other's (None: the base's), over the seeds that both have."""
        seeds = self.seeds_of(arm, other)
        return self.scores(arm, judge, seeds, arm.model) - self.scores(other, judge, seeds, arm.model)


def crossed(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of [S, N] with the interval of the head of this file; infinite for one seed."""
    import numpy as np
    from scipy import stats

    d = np.asarray(values, np.float64)
    mean, seeds = float(d.mean()), len(d)
    if seeds < 2:
        return Interval(mean, -math.inf, math.inf)
    half = float(stats.t.ppf((1 + confidence) / 2, seeds - 1)) * _error(d)
    return Interval(mean, mean - half, mean + half)


def p_value(values: ArrayLike) -> float:
    """Two-sided p of "the mean of [S, N] is 0" by t_{S−1} = d̄ / √(s_S² / S + s_N² / N), as `crossed`; 1 of one seed."""
    import numpy as np
    from scipy import stats

    d = np.asarray(values, np.float64)
    mean, error = abs(float(d.mean())), _error(d) if len(d) > 1 else math.inf
    if error == 0:  # no spread at all: as sure as can be, or no difference
        return float(mean == 0)
    return float(2 * stats.t.sf(mean / error, max(1, len(d) - 1)))


def _error(d: Floats) -> float:
    """√(s_S² / S + s_N² / N) of [S, N] with two seeds at least."""
    seeds, prompts = d.shape
    return math.sqrt(d.mean(1).var(ddof=1) / seeds + d.mean(0).var(ddof=1) / prompts)


def share(values: ArrayLike) -> Interval:
    """`crossed` of shares [S, N], kept between 0 and 1; that of one seed stays infinite.

    Where nothing varies it is Wilson's over the N prompts: that all say the same does not make it sure.
    """
    import numpy as np

    found = crossed(values)
    if math.isinf(found.low):
        return found
    if found.low == found.high:
        return wilson(found.value, np.shape(values)[1])
    return Interval(found.value, max(0.0, found.low), min(1.0, found.high))


def reading(interval: Interval, seeds: int, p: float | None = None) -> str:
    """What a difference over ``seeds`` says of "better lies above worse"; nothing of fewer than `SURE`.

    ``p``, two-sided and corrected for all that is said beside it, decides in the place of the 95 % interval.
    """
    if seeds < SURE:
        return f"too few seeds ({seeds}) to say"
    apart = interval.low > 0 or interval.high < 0 if p is None else p <= ALPHA
    if not apart:
        return "not distinguishable"
    return "holds" if interval.value > 0 else "does not hold: the other way round"


def alike(steps: Mapping[int, Hashable]) -> tuple[list[int], list[int]]:
    """Of seed → its checkpoints: the seeds with those that most have (of equally many the first seed's), and the rest.

    A run that was made with other settings of a profile cannot be averaged with the others.
    """
    counts = Counter(steps.values())
    most = max(counts, key=counts.__getitem__, default=None)
    return [seed for seed in steps if steps[seed] == most], [seed for seed in steps if steps[seed] != most]
