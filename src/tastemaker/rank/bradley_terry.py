"""How probably a label is right, by the scorers' margin (Bradley & Terry 1952, with a share of labels turned round).

    Δ_k  raw score of the winner less that of the loser, by scorer k
    τ_k  temperature of scorer k: the margin that makes one side e times as likely as the other
    ε    share of the labels that were turned round, whatever the margin

    P(label) = ε + (1 − 2ε) σ(Σ_k Δ_k / τ_k)        fitted to the labels by maximum likelihood
    P(right) = σ(Σ_k Δ_k / τ_k)                     what is used

Two assumptions stand behind it: the scorers' margins say how likely people prefer an image, the same for every prompt,
and mistakes come independently of the margin. ε is there because without it careless labels would look like a scorer
that knows little; it is left out of P(right), which is the scorers' opinion alone and does not take the label's word
for evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np

EXACT = {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000}
"""The likelihood is flat where a little more temperature does for a few more flips."""


@dataclass(frozen=True)
class BradleyTerry:
    """A fitted or a given model; ``slopes`` are 1/τ_k."""

    slopes: tuple[float, ...]
    flips: float | None = None
    """ε; None where the temperature was given."""

    def right(self, margins: np.ndarray) -> np.ndarray:
        """P(right), float64 [n], of raw margins [K, n]."""
        import numpy as np
        from scipy.special import expit

        probability: np.ndarray = expit(np.tensordot(np.array(self.slopes), margins, 1))
        return probability

    def likely(self, right: np.ndarray) -> np.ndarray:
        """P(label) of P(right) [n]: how probably another judge would say the same."""
        flips = self.flips or 0.0
        return flips + (1 - 2 * flips) * right

    def as_json(self) -> dict[str, Any]:
        """For metadata and summary; a scorer without weight has the temperature None."""
        taus = [1 / slope if slope else None for slope in self.slopes]
        return {"temperature": taus[0] if len(taus) == 1 else taus, "flips": self.flips}


def fit(margins: np.ndarray, share: np.ndarray) -> BradleyTerry:
    """Maximum likelihood of τ_k > 0 and 0 ≤ ε < ½ on the labels.

    ``margins`` [K, n] winner less loser, ``share`` [n] the winner's share of the preference (1 where people only said
    who won). Raises `UserError` where no temperature fits: no pairs, scorers that contradict the labels more often
    than not, or that never do.
    """
    import numpy as np
    from scipy.optimize import minimize

    if not margins.any():
        raise UserError("bradley-terry: the scores of winners and losers are all equal; give --temperature")
    order = np.lexsort((share, *margins))  # sums in one order: their last bit must not depend on that of the rows
    margins, share = np.ascontiguousarray(margins[:, order]), share[order]
    scale = np.where(margins.any(1), np.sqrt((margins**2).mean(1)), 1.0)
    bounds = [(0.0, None)] * len(scale) + [(0.0, 0.49)]
    starts = [np.append(np.full(len(scale), slope), flips) for slope, flips in ((0.5, 0.01), (1.5, 0.1), (4.0, 0.25))]
    arguments = (margins / scale[:, None], share)
    tries = [minimize(_loss, one, arguments, "L-BFGS-B", jac=True, bounds=bounds, options=EXACT) for one in starts]
    slopes, flips = np.split(min(tries, key=lambda one: float(one.fun)).x, [-1])
    _sound(slopes @ arguments[0], share)
    return BradleyTerry(tuple((slopes / scale).tolist()), float(flips[0]))


def _loss(theta: np.ndarray, x: np.ndarray, share: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean negative log-likelihood and its gradient by (slopes, ε)."""
    import numpy as np
    from scipy.special import expit

    slopes, flips = theta[:-1], theta[-1]
    s = expit(slopes @ x)
    p = np.clip(flips + (1 - 2 * flips) * s, 1e-12, 1 - 1e-12)
    by_p = (share / p - (1 - share) / (1 - p)) / len(share)
    by_slopes = x @ (by_p * (1 - 2 * flips) * s * (1 - s))
    value = -np.mean(share * np.log(p) + (1 - share) * np.log1p(-p))
    return float(value), -np.append(by_slopes, by_p @ (1 - 2 * s))


def _sound(agreed: np.ndarray, share: np.ndarray) -> None:
    """Raise `UserError` where the fitted margins [n] say nothing, or agree with every label."""
    if agreed.max() < 1e-6:
        raise UserError(
            "bradley-terry: the scores contradict the labels as often as not, so no temperature fits; "
            "give --temperature, or rank by another scorer"
        )
    if (agreed >= 0).all() and (share == 1).all():
        raise UserError("bradley-terry: the scores never contradict the labels; give --temperature")
