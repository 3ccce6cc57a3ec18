"""What a batch says before it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tastemaker.method.evidence import Evidence


@dataclass(frozen=True, eq=False)
class Observed:
    """The evidence of P pairs or images; where it was seen, with which weight, and figures to log without gradients."""

    evidence: Evidence
    t: Tensor
    """[P] int64, on the device."""
    omega: Tensor
    """[P] float32: ω(t)."""
    stats: dict[str, Tensor]
