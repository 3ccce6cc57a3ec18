"""What one rank gathers of an optimizer step before the weights move; everything stays on the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.train.log import Window
from tastemaker.train.signals import WATCHED

if TYPE_CHECKING:
    from tastemaker.train.step import Outcome


@dataclass
class Tally:
    """This rank's part of a step of ``pairs`` pairs in all."""

    pairs: int
    device: torch.device
    own_pairs: float = 0.0
    sums: Window = field(default_factory=Window)
    signum: int | None = None
    """The signal that kept this rank from reading its whole part."""
    unfit: list[tuple[list[str], Tensor]] = field(default_factory=list)
    """Pair ids and, for each, whether its loss or one of its figures is not finite."""

    def add(self, pair_ids: list[str], share: float, outcome: Outcome) -> None:
        """Count the rows of a micro-batch in, each as the ``share`` of a pair."""
        figures = {"loss": outcome.loss.detach()} | outcome.stats
        for name, value in figures.items():
            self.sums.add(name, value.sum() * share)
        self.unfit.append((pair_ids, ~torch.stack([value.float() for value in figures.values()]).isfinite().all(0)))
        self.own_pairs += len(pair_ids) * share

    def counts(self) -> Tensor:
        """How many pairs are unfit, and for each watched signal whether it stopped this rank; to be summed."""
        unfit = [flags.sum() for _, flags in self.unfit] or [torch.zeros((), device=self.device)]
        stopped = torch.tensor([float(self.signum == signum) for signum in WATCHED], device=self.device)
        return torch.cat([torch.stack(unfit).sum().float().view(1), stopped])

    def unfit_pairs(self) -> list[str]:
        """This rank's unfit pairs; waits for the device."""
        return [name for names, flags in self.unfit for name, bad in zip(names, flags.tolist(), strict=True) if bad]
