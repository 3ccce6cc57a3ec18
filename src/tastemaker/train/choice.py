"""Which optimizer moves the weights, as a recipe says it, and how much it remembers. No torch here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil, prod
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker.base.errors import UserError

FLOAT32 = 4
SMALL = 4096
"""Weights with fewer elements keep float32 moments in both libraries."""


@dataclass(frozen=True)
class Packed:
    """How a library keeps the two moments of a large weight: ``bits`` an element, a float32 scale a ``block``."""

    library: str
    extra: str
    bits: int
    block: int
    codes: int
    """Entries of the two tables that say what a code means."""
    pads: bool = False
    """Whether the last block may be short; without, such a weight keeps float32 moments."""


PACKED = {
    "adamw8bit": Packed("bitsandbytes", "bnb", 8, 256, 512, pads=True),
    "torchao-adamw8bit": Packed("torchao", "torchao", 8, 256, 512),
    "torchao-adamw4bit": Packed("torchao", "torchao", 4, 128, 32),
    "torchao-adamwfp8": Packed("torchao", "torchao", 8, 256, 0),
}


class AdamW(BaseModel):
    """AdamW (Loshchilov & Hutter, arXiv:1711.05101).

        m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  θ ← θ − lr (m̂ / (√v̂ + eps) + weight_decay θ)

    g is the gradient; m̂ = m / (1 − β₁ⁿ) and v̂ = v / (1 − β₂ⁿ) at step n (from 1).

    ``kind`` says how m and v are kept: ``adamw`` in float32; ``adamw8bit`` (bitsandbytes, arXiv:2110.02861),
    ``torchao-adamw8bit``, ``torchao-adamw4bit`` (arXiv:2309.01507) and ``torchao-adamwfp8`` in blocks of 128 or 256
    elements that share a scale. The arithmetic is float32 in any case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["adamw", "adamw8bit", "torchao-adamw8bit", "torchao-adamw4bit", "torchao-adamwfp8"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(1e-2, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _possible(self) -> AdamW:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: {list(self.betas)} are not both in [0, 1); the usual ones are [0.9, 0.999]")
        return self

    def state_bytes(self, shapes: Iterable[tuple[int, ...]]) -> int:
        """Bytes that the moments of weights of these ``shapes`` take."""
        return sum(self._bytes(prod(shape)) for shape in shapes)

    def _bytes(self, elements: int) -> int:
        packed = PACKED.get(self.kind)
        if packed is None or elements < SMALL or (elements % packed.block and not packed.pads):
            return 2 * FLOAT32 * elements
        scales = 2 * ceil(elements / packed.block)
        return 2 * elements * packed.bits // 8 + FLOAT32 * (scales + packed.codes)


class Adafactor(BaseModel):
    """Adafactor (Shazeer & Stern, arXiv:1804.04235): a mean of g² for each row and column instead of each element.

    No first moment; β₂ rises as 1 − step^−0.8 and the update's RMS is clipped to 1. The rate is ``train.lr`` times the
    RMS of the weight where that exceeds 1: neither the paper's relative step, which ignores ``train.lr``, nor its
    scaling below 1, which would hold back a LoRA's B, as that starts at 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["adafactor"] = "adafactor"
    weight_decay: float = Field(0.0, ge=0, allow_inf_nan=False)

    def state_bytes(self, shapes: Iterable[tuple[int, ...]]) -> int:
        """Bytes that the row and column means of weights of these ``shapes`` take; vectors keep every element."""
        return FLOAT32 * sum(prod(s[:-1]) + prod(s[:-2]) * s[-1] if len(s) > 1 else prod(s) for s in shapes)


Optimizer = Annotated[AdamW | Adafactor, Field(discriminator="kind")]


def missing_library(choice: AdamW | Adafactor) -> str | None:
    """One line with the command that installs what ``choice`` needs, or None when it is there."""
    packed = PACKED.get(choice.kind)
    if packed is None or find_spec(packed.library) is not None:
        return None
    install = f"pip install 'tastemaker[{packed.extra}]'"
    return f"train.optimizer.kind: {choice.kind} needs {packed.library}, which is not installed; get it with: {install}"


def require_library(choice: AdamW | Adafactor) -> None:
    """Raise a `UserError` when what ``choice`` needs is not installed."""
    if problem := missing_library(choice):
        raise UserError(problem)
