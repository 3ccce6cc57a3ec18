"""What a method carries from one optimizer step to the next: training state, checkpointed and equal on all ranks.

    baseline   z0 = max(0, mean ρ) over the images of the optimizer step before (KTO)
    record     log r of every step, where the credit has a stepwise correction (DDE)
    trace      what the steps got, for people
    history    the record at steps 1, 2, 3, 4, 6, 8, 12, …, to see it converge

Micro-batches gather; `commit` lets it all in once an optimizer step; `discard` drops it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tastemaker.method.stepwise import Record, Reduce
from tastemaker.method.trace import Trace

if TYPE_CHECKING:
    from torch import Tensor, device

    from tastemaker.method.evidence import Evidence
    from tastemaker.method.method import Method
    from tastemaker.process.prediction import Head
    from tastemaker.process.schedule import Schedule


def alone(total: Tensor) -> Tensor:
    """The sum over the ranks of a run that has one."""
    return total


class Memory:
    """The state of ``method`` on a model with this schedule and head."""

    def __init__(self, method: Method, schedule: Schedule, head: Head, place: device) -> None:
        import torch

        setting = method.credit.stepwise
        self.record = None if setting is None else Record(setting, schedule, head, place)
        self.trace = Trace(schedule.steps, place)
        self.baseline = torch.zeros((), device=place)
        self.history: dict[int, Tensor] = {}
        self._ratios = torch.zeros(2, device=place)

    def correction(self, role: int, side: Tensor, t: Tensor) -> Tensor | float:
        """κ C(t) of images [I] on sides ``side``: 0 where the method has no correction."""
        return 0.0 if self.record is None else self.record.correction(role, side, t)

    def observe_errors(self, role: int, side: Tensor, t: Tensor, error: Tensor) -> None:
        """Gather native errors [I]."""
        if self.record is not None:
            self.record.observe(role, side, t, error)

    def observe_evidence(self, t: Tensor, evidence: Evidence, credit: Tensor) -> None:
        """Gather the log-ratios of a batch at steps ``t`` [P], and the effective ``credit`` [P] that it got."""
        import torch

        if evidence.reference:
            ratio = torch.cat(evidence.ratios).detach().float()
            self._ratios = self._ratios + torch.stack([ratio.sum(), torch.ones_like(ratio).sum()])
        if evidence.preference is not None:
            self.trace.observe(t, evidence.preference.detach(), credit)

    def commit(self, step: int, reduce: Reduce = alone) -> None:
        """Let in what optimizer step ``step`` (from 0) gathered; ``reduce`` sums a tensor over the ranks."""
        total, count = reduce(self._ratios)
        self.baseline = (total / count.clamp(min=1)).clamp(min=0)
        self.trace.commit(reduce)
        if self.record is not None:
            self.record.commit(step, reduce)
            if is_shown(step + 1):
                self.history[step + 1] = self.record.values.clone()  # a file holds no tensor twice
        self._ratios = self._ratios.new_zeros(2)

    def discard(self) -> None:
        """Forget what was gathered since the last commit."""
        self._ratios = self._ratios.new_zeros(2)
        self.trace.discard()
        if self.record is not None:
            self.record.discard()

    def tensors(self) -> dict[str, Tensor]:
        """The state as named tensors, for a checkpoint."""
        found = {"baseline": self.baseline, "trace": self.trace.sums}
        if self.record is not None:
            found |= {f"record/{name}": value for name, value in self.record.tensors().items()}
        return found | {f"history/{step:08d}": value for step, value in self.history.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave, on this device."""
        place = self.baseline.device
        self.baseline, self.trace.sums = tensors["baseline"].to(place), tensors["trace"].to(place)
        if self.record is not None:
            self.record.load(_under("record/", tensors))
        self.history = {int(step): value.to(place) for step, value in _under("history/", tensors).items()}


def is_shown(step: int) -> bool:
    """Whether the record is kept after ``step`` steps: at 2ⁿ and 3·2ⁿ."""
    return step & (step - 1) == 0 or (step % 3 == 0 and (step // 3) & (step // 3 - 1) == 0)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
