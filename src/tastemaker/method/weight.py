"""Credit, second part: how much a visited step counts, ω(t), as a factor on the native error.

Legend: t [B] step; T training steps; α, σ signal and noise level of t; SNR = (α/σ)²; det of the head as in
`tastemaker.process.prediction`. Weights are computed in float64 from the schedule alone and returned so, on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.method.evidence import BOTH, DENOISING

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.process.prediction import Head
    from tastemaker.process.schedule import Schedule


class Constant(BaseModel):
    """ω(t) = 1: the simplified objective (Ho et al. 2020, arXiv:2006.11239, eq. 14)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH

    kind: Literal["constant"] = "constant"

    def __call__(self, t: Tensor, *_: object) -> Tensor:
        """ω [B]."""
        import torch

        return torch.ones(len(t), dtype=torch.float64)


class Discount(BaseModel):
    """ω(t) = γ^k / mean γ^k, k(t) the denoising steps before t on a grid of N (Yang et al. 2024, arXiv:2402.08265).

    Its mean over all steps is 1: unnormalised, γ = 0.9 and N = 50 would divide β by 5 without saying so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH

    kind: Literal["discounted"] = "discounted"
    gamma: float = Field(0.9, gt=0, lt=1)
    grid: int = Field(50, ge=1)

    def __call__(self, t: Tensor, schedule: Schedule, *_: object) -> Tensor:
        """ω [B]."""
        import torch

        steps = schedule.steps
        mean = discount(torch.arange(steps), steps, self.gamma, self.grid).mean()
        return discount(t.cpu(), steps, self.gamma, self.grid) / mean


class MinSnr(BaseModel):
    """min(SNR, γ) on the error of x0 (Hang et al. 2023, arXiv:2303.09556, eq. 5), written for the native error.

    ω = min(SNR, γ) (σ/det)²: min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR + 1) for v, min(SNR, γ) s² for flow.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (DENOISING,)

    kind: Literal["min-snr"] = "min-snr"
    gamma: float = Field(5.0, gt=0)

    def __call__(self, t: Tensor, schedule: Schedule, head: Head) -> Tensor:
        """ω [B]; not a number for an ε head at zero signal."""
        from tastemaker.process.prediction import x0_factor

        return schedule.snr(t).clamp(max=self.gamma) * x0_factor(head, *schedule.exact(t))


class Epsilon(BaseModel):
    """The error of ε, whatever the model predicts: ω = (α/det)², 1 for ε, α² for v, (1−s)² for flow.

    With it a model that predicts v or flow has Diffusion-DPO's own loss, and its published β means the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (DENOISING,)

    kind: Literal["epsilon"] = "epsilon"

    def __call__(self, t: Tensor, schedule: Schedule, head: Head) -> Tensor:
        """ω [B]; not a number for an ε head at zero signal, where it should be 1."""
        from tastemaker.process.prediction import eps_factor

        return eps_factor(head, *schedule.exact(t))


class SingleShot(BaseModel):
    """DDE's weight of the segment t → 0: one jump to x̂0, so that −log p(x0 | x_t) is the error of x0.

    Shi et al. 2024, arXiv:2411.14871; our derivation from its text: the terminal Gaussian's variance is one for all t.
    ω = (σ/det)²: (1−ᾱ)/ᾱ for ε (8.5e-4 at t = 0, 1 near 355, 2.1e2 at 999 on SD1.5's schedule), 1−ᾱ for v, s² for
    flow, 1 for x0. β is a hyper-parameter of its own here, not Diffusion-DPO's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (DENOISING,)

    kind: Literal["single-shot"] = "single-shot"

    def __call__(self, t: Tensor, schedule: Schedule, head: Head) -> Tensor:
        """ω [B]; infinite for an ε head at zero signal."""
        from tastemaker.process.prediction import x0_factor

        return x0_factor(head, *schedule.exact(t))


Weight = Annotated[Constant | Discount | MinSnr | Epsilon | SingleShot, Field(discriminator="kind")]


def discount(t: Tensor, steps: int, gamma: float, grid: int) -> Tensor:
    """γ^k in float64, k = ⌊(T − 1 − t) N / T⌋: 0 at the noisiest step."""
    return gamma ** ((steps - 1 - t) * grid // steps).double()
