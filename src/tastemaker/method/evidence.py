"""Evidence: how much likelier the policy makes an image than the reference does.

    cost n = ω(t) e,   log-ratio ρ = n_r − n_θ,   margin m = ρ_w − ρ_l

Legend: θ policy, r reference, w winner, l loser; each number has shape [P], one entry a pair, in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


class Denoising(BaseModel):
    """Evidence from the error of denoising one noised step (Wallace et al. 2023, arXiv:2311.12908, eq. 13–14).

    ``reference``: what the policy's error is compared with where the link compares: ``base``, the model before
    training, or ``none``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["denoising"] = "denoising"
    reference: Literal["base", "none"] = "base"


@dataclass(frozen=True, eq=False)
class Evidence:
    """The costs of a batch of pairs. What a method does not read, it leaves out: loser, reference or both."""

    policy_winner: Tensor
    policy_loser: Tensor | None = None
    reference_winner: Tensor | None = None
    reference_loser: Tensor | None = None

    @property
    def log_ratio(self) -> tuple[Tensor, Tensor]:
        """(ρ_w, ρ_l). Raises `UserError` without a reference or without losers."""
        if self.reference_winner is None or self.reference_loser is None:
            raise UserError("method.evidence.reference is 'none', but this link compares with one: set it to 'base'")
        if self.policy_loser is None:
            raise UserError("method.link reads pairs, but this batch was run for the winners alone")
        return self.reference_winner - self.policy_winner, self.reference_loser - self.policy_loser

    @property
    def margin(self) -> Tensor:
        """m = ρ_w − ρ_l. Raises as `log_ratio` does."""
        winner, loser = self.log_ratio
        return winner - loser
