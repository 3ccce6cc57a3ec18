"""What a run's steps got: how often each was visited, the margin there and the credit that reached the model.

    effective credit of a pair = ω(t) |∂L/∂n_θ^w|         (for DPO: σ(−β m/2) · β/2 · ω(t))

A picture for people; nothing is trained with it. Legend: two groups, margin ≤ 0 and margin > 0; T steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, device

    from tastemaker.method.stepwise import Reduce

FIELDS = ("pairs", "margin", "credit")


class Trace:
    """Sums over the pairs seen so far, [field, sign of the margin, T] in float32 on ``device``."""

    def __init__(self, steps: int, place: device) -> None:
        import torch

        self.sums = torch.zeros(len(FIELDS), 2, steps, device=place)
        self.discard()

    def observe(self, t: Tensor, margin: Tensor, credit: Tensor) -> None:
        """Gather pairs [P]."""
        group = (margin > 0).long()
        for row, value in enumerate((margin.new_ones(len(margin)), margin, credit)):
            self._gathered[row].index_put_((group, t), value.detach().float(), accumulate=True)

    def commit(self, reduce: Reduce) -> None:
        """Add what was gathered since the last commit."""
        self.sums = self.sums + reduce(self._gathered)
        self.discard()

    def discard(self) -> None:
        """Forget what was gathered since the last commit."""
        import torch

        self._gathered = torch.zeros_like(self.sums)
