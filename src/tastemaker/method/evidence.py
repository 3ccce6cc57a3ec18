"""Evidence: how much likelier the policy makes an image than the reference does.

    cost n = ω(t) e − κ C(t),   log-ratio ρ = n_r − n_θ,   margin m = ρ_w − ρ_l

Legend: θ policy, r reference, w winner, l loser; each number has shape [P], one entry a pair, in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

ROLES, SIDES = ("policy", "reference"), ("winner", "loser")
DENOISING, TRANSITION = "denoising", "transition"
BOTH = (DENOISING, TRANSITION)
"""Kinds of evidence; each part of a method says in ``serves`` on which of them it has a meaning."""


class Denoising(BaseModel):
    """Evidence from the error of denoising one noised step (Wallace et al. 2023, arXiv:2311.12908, eq. 13–14).

    ``reference``: what the policy's error is compared with where the link compares: ``base``, the model before
    training, or ``none``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["denoising"] = "denoising"
    reference: Literal["base", "none"] = "base"


class Transition(BaseModel):
    """Evidence from steps that were really sampled: ρ = log π_θ(a|s) − log π_r(a|s) (D3PO, arXiv:2311.13231, eq. 12).

    A state s is (prompt, t, x_t), an action a the x_u that was drawn from it, π the Gaussian of the reverse step; log π
    is a mean over latent dimensions. Every step of a trajectory counts alike: a pair's loss is the mean over those that
    are read. ``steps``: how many of a trajectory's steps a visit reads, drawn at random; null reads all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["transition"] = "transition"
    reference: Literal["base", "none"] = "base"
    steps: int | None = Field(None, ge=1)


Source = Annotated[Denoising | Transition, Field(discriminator="kind")]


@dataclass(frozen=True, eq=False)
class Evidence:
    """The costs of a batch: of the winners and, where the method reads them, of the losers; () without a reference.

    Unpaired images stand in the winner's place with their ``sign`` [P]: +1 liked, −1 disliked. ``baseline`` is the
    mean log-ratio of the optimizer step before (0 at the first), at least 0; it carries no gradient.
    """

    policy: tuple[Tensor, ...]
    reference: tuple[Tensor, ...] = ()
    sign: Tensor | None = None
    baseline: Tensor | float = 0.0

    @property
    def winner(self) -> Tensor:
        """n_θ^w, or n_θ of single images."""
        return self.policy[0]

    @property
    def loser(self) -> Tensor:
        """n_θ^l. Raises `UserError` without losers."""
        return _both(self.policy)[1]

    @property
    def ratios(self) -> tuple[Tensor, ...]:
        """ρ of the winners and, where they were run, of the losers. Raises `UserError` without a reference."""
        if not self.reference:
            raise UserError("method.evidence.reference is 'none', but this link compares with one: set it to 'base'")
        return tuple(r - p for p, r in zip(self.policy, self.reference, strict=True))

    @property
    def margin(self) -> Tensor:
        """m = ρ_w − ρ_l. Raises `UserError` without a reference or without losers."""
        winner, loser = _both(self.ratios)
        return winner - loser

    @property
    def contrast(self) -> Tensor:
        """n_θ^l − n_θ^w: the margin where every n_r counts as 0. Raises `UserError` without losers."""
        return self.loser - self.winner

    @property
    def judged(self) -> tuple[Tensor, Tensor]:
        """(ρ, y) of every image, [I] each: a pair is a liked and a disliked one. Raises as `ratios` does."""
        import torch

        if self.sign is not None:
            return self.ratios[0], self.sign
        winner, loser = _both(self.ratios)
        return torch.cat([winner, loser]), torch.cat([torch.ones_like(winner), -torch.ones_like(loser)])

    @property
    def preference(self) -> Tensor | None:
        """What people look at: the margin of pairs, y ρ of single images; None where nothing is compared."""
        if self.sign is not None:
            return self.sign * self.ratios[0] if self.reference else None
        if len(self.policy) < len(SIDES):
            return None
        return self.margin if self.reference else self.contrast


def _both(sides: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    if len(sides) < len(SIDES):
        raise UserError("method.link reads pairs, but this batch holds single images or winners alone")
    return sides[0], sides[1]
