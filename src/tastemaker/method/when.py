"""Credit, first part: which denoising steps are visited.

``draw`` turns uniform numbers into steps, so that whoever holds the key of a draw holds its step.
Legend: T the model's training steps; t step, 0 = nearly clean; u [P] uniform in [0, 1), float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker.method.evidence import BOTH, DENOISING

if TYPE_CHECKING:
    from torch import Tensor


class Uniform(BaseModel):
    """t ~ U{0..T−1}, the choice of Diffusion-DPO (Wallace et al. 2023, arXiv:2311.12908)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH

    kind: Literal["uniform"] = "uniform"

    def draw(self, u: Tensor, steps: int) -> Tensor:
        """Steps [P] (int64) from ``u``."""
        return _between(u, 0, steps)

    def reads(self, t: Tensor, steps: int) -> Tensor:
        """Which of the steps ``t`` [N] of a trajectory count: bool [N]; all."""
        return (t >= 0) & (t < steps)


class Range(BaseModel):
    """t ~ U{low·T..high·T−1}: a part of the schedule, such as steps 200–700 of 1000 with ``low: 0.2, high: 0.7``.

    ``low`` and ``high`` are fractions of the T training steps (0 = clean, 1 = pure noise), so that a recipe means the
    same on every schedule. At least one step is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH

    kind: Literal["range"] = "range"
    low: float = Field(0.0, ge=0, lt=1)
    high: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self

    def draw(self, u: Tensor, steps: int) -> Tensor:
        """Steps [P] (int64) from ``u``."""
        return _between(u, *self._ends(steps))

    def reads(self, t: Tensor, steps: int) -> Tensor:
        """Which of the steps ``t`` [N] of a trajectory count: bool [N]."""
        low, high = self._ends(steps)
        return (t >= low) & (t < high)

    def _ends(self, steps: int) -> tuple[int, int]:
        low = min(round(self.low * steps), steps - 1)
        return low, max(round(self.high * steps), low + 1)


class Discounted(BaseModel):
    """t ∝ γ^k, k(t) the denoising steps before t on a grid of N: early, noisy steps most.

    Yang et al. 2024, arXiv:2402.08265: what their code does; the weight of the same name is what their text says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (DENOISING,)

    kind: Literal["discounted"] = "discounted"
    gamma: float = Field(0.9, gt=0, lt=1)
    grid: int = Field(50, ge=1)

    def draw(self, u: Tensor, steps: int) -> Tensor:
        """Steps [P] (int64) from ``u``, by the inverse of the cumulative distribution."""
        import torch

        from tastemaker.method.weight import discount

        reached = discount(torch.arange(steps), steps, self.gamma, self.grid).cumsum(0)
        return torch.searchsorted(reached, u.double() * reached[-1], right=True).clamp(max=steps - 1)


class LogitNormal(BaseModel):
    """t = ⌊T σ(mean + std · z)⌋, z ~ N(0, 1): the middle of the schedule most.

    Esser et al. 2024, arXiv:2403.03206, eq. 19; SD3 was trained with mean 0 and std 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (DENOISING,)

    kind: Literal["logit-normal"] = "logit-normal"
    mean: float = 0.0
    std: float = Field(1.0, gt=0)

    def draw(self, u: Tensor, steps: int) -> Tensor:
        """Steps [P] (int64) from ``u``."""
        import torch

        return _between(torch.sigmoid(self.mean + self.std * torch.special.ndtri(u.double())), 0, steps)


When = Annotated[Uniform | Range | Discounted | LogitNormal, Field(discriminator="kind")]


def _between(u: Tensor, low: int, high: int) -> Tensor:
    """Integers low..high−1; the clamp catches a ``u`` that rounding lifts to ``high``."""
    return (low + (u.double() * (high - low)).long()).clamp(max=high - 1)
