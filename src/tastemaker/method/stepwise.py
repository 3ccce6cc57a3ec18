"""Credit, third part: the correction of a step by what is known of the noisier steps before it (DDE's stepwise part).

    log r_k = −‖μ̃_k − μ_θ(x_k)‖² / (2 β̃_k) = −½ (SNR_{k−1} − SNR_k) ‖x0 − x̂0(x_k)‖² = −λ_k e_k
    C(t) = Σ_{k>t} log r_k

(Shi et al. 2024, arXiv:2411.14871; our derivation from its text: importance ratio, mode of q, equal covariances, delay
update.) Only step t of an example is ever run, so log r_k comes from a record. Norms are means over latent dimensions,
like every error here.

Legend: T steps; roles policy and reference; sides winner and loser; λ_k on the native error of the head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.method.evidence import DENOISING, ROLES, SIDES

if TYPE_CHECKING:
    from torch import Tensor, device

    from tastemaker.process.prediction import Head
    from tastemaker.process.schedule import Schedule

Reduce = Callable[["Tensor"], "Tensor"]
"""Sum of a tensor over all ranks."""


class Stepwise(BaseModel):
    """The cost of an image at step t becomes ω(t) e − κ C(t).

    ``decay`` of the moving average counts optimizer steps: what was recorded d steps ago weighs decay^d against a new
    value. ``scale`` is κ, the scale of this term against the single-shot one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (DENOISING,)

    kind: Literal["stepwise"] = "stepwise"
    decay: float = Field(0.99, ge=0, lt=1)
    scale: float = Field(1.0, gt=0)


def ratio_weight(schedule: Schedule, head: Head) -> Tensor:
    """λ [T] in float64: ½ (SNR_{k−1} − SNR_k) (σ/det)².

    For an ε head β_k / (2 α_k (1−ᾱ_{k−1})). λ_0 is infinite (SNR_{−1} is) and never needed, since k > t ≥ 0: it is 0.
    """
    import torch

    from tastemaker.process.prediction import x0_factor

    steps = torch.arange(schedule.steps)
    snr, factor = schedule.snr(steps), x0_factor(head, *schedule.exact(steps))
    drop = torch.cat([torch.zeros(1, dtype=torch.float64), snr[:-1] - snr[1:]])
    return 0.5 * drop * factor


class Record:
    """What training has seen of log r: four arrays of length T, [role, side, T] in float32 on ``device``.

    Not differentiated. An entry that was never visited counts as 0; a first visit assigns, so nothing is drawn to zero.
    Observations of one optimizer step are gathered, then committed together; equal on all ranks.
    """

    def __init__(self, setting: Stepwise, schedule: Schedule, head: Head, place: device) -> None:
        import torch

        shape = (len(ROLES), len(SIDES), schedule.steps)
        self._setting = setting
        self._weight = ratio_weight(schedule, head).float().to(place)
        self.values = torch.zeros(shape, device=place)
        self.last = torch.full(shape, -1, dtype=torch.int64, device=place)
        self.visits = torch.zeros(shape, dtype=torch.int64, device=place)
        self.discard()
        self._correct()

    def observe(self, role: int, side: Tensor, t: Tensor, error: Tensor) -> None:
        """Gather log r = −λ_t e of images [I] with native errors ``error`` at steps ``t`` on sides ``side``."""
        import torch

        self._sum[role].index_put_((side, t), -self._weight[t] * error.detach().float(), accumulate=True)
        self._count[role].index_put_((side, t), torch.ones_like(t), accumulate=True)

    def correction(self, role: int, side: Tensor, t: Tensor) -> Tensor:
        """κ C(t) [I], never above 0."""
        return self._setting.scale * self._after[role, side, t]

    def commit(self, step: int, reduce: Reduce) -> None:
        """Let the gathered values of optimizer step ``step`` into the record."""
        import torch

        total, count = reduce(self._sum), reduce(self._count)
        seen, first = count > 0, self.last < 0
        mean = total / count.clamp(min=1)
        kept = torch.where(first, 0.0, self._setting.decay ** (step - self.last).float())
        self.values = torch.where(seen, kept * self.values + (1 - kept) * mean, self.values)
        self.last = torch.where(seen, step, self.last)
        self.visits = self.visits + count
        self.discard()
        self._correct()

    def discard(self) -> None:
        """Forget what was gathered since the last commit."""
        import torch

        self._sum, self._count = torch.zeros_like(self.values), torch.zeros_like(self.visits)

    def tensors(self) -> dict[str, Tensor]:
        """The record as named tensors."""
        return {"log_ratio": self.values, "last": self.last, "visits": self.visits}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        place = self.values.device
        self.values, self.last, self.visits = (tensors[name].to(place) for name in ("log_ratio", "last", "visits"))
        self._correct()

    def _correct(self) -> None:
        """C(t) for every t: one reversed cumulative sum, shifted by one because k > t."""
        import torch

        from_t = self.values.flip(-1).cumsum(-1).flip(-1)
        self._after = torch.cat([from_t[..., 1:], torch.zeros_like(from_t[..., :1])], dim=-1)
