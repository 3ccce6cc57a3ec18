"""What is compared: an arm is pairs × loss × credit × LoRA rank on a base model, a value with a name.

Tables and figures name arms; two that name the same arm share its runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

LOSSES: dict[str, dict[str, Any]] = {
    "dpo": {"kind": "logistic"},
    "ipo": {"kind": "squared"},
    "slic": {"kind": "hinge"},
    "orpo": {"kind": "odds"},
    "kto": {"kind": "pointwise"},
    "sft": {"kind": "sft"},
}
SINGLE_SHOT, STEPWISE = {"kind": "single-shot"}, {"kind": "stepwise"}
SLICES = ((0.0, 0.1), (0.3, 0.4), (0.5, 0.6), (0.7, 0.8), (0.9, 1.0))
"""Tenths of t/T of the DDE paper's figure (arXiv 2411.14871)."""


def _slice(low: float, high: float) -> dict[str, Any]:
    return {"when": {"kind": "range", "low": low, "high": high}}


CREDITS: dict[str, dict[str, Any]] = {
    "uniform": {},
    "discounted": {"weight": {"kind": "discounted"}},
    "discounted-sampling": {"when": {"kind": "discounted"}},
    "range-200-700": _slice(0.2, 0.7),
    **{f"slice-{low:.1f}-{high:.1f}": _slice(low, high) for low, high in SLICES},
    "logit-normal": {"when": {"kind": "logit-normal"}},
    "min-snr": {"weight": {"kind": "min-snr"}},
    "dde": {"weight": SINGLE_SHOT, "correction": STEPWISE},
    "dde-single": {"weight": SINGLE_SHOT},
    "dde-step": {"correction": STEPWISE},
}


@dataclass(frozen=True, order=True)
class Pairs:
    """Which pairs are read: ``all`` in a drawn order, the ``best`` share by a scorer's Q, or a random share.

    With ``passes`` they are read so many times; None reads as many pairs as the profile's budget says.
    """

    kind: Literal["all", "best", "random"] = "all"
    scorer: str = ""
    share: float = 1.0
    passes: int | None = None

    @property
    def name(self) -> str:
        """As in best-hpsv2-5.33%, or random-30%."""
        share = "" if self.kind == "all" else f"-{100 * self.share:.4g}%"
        read = "" if self.passes is None else f"-x{self.passes}"
        return self.kind + (f"-{_plain(self.scorer)}" if self.scorer else "") + share + read


@dataclass(frozen=True, order=True)
class Arm:
    """``model`` is a name of the profile's models; ``rank`` None is the profile's LoRA rank (or all weights).

    With ``last`` the model at the end of training is reported, as the papers do, and not the checkpoint that was
    chosen on other prompts: where a claim says that a method does harm, the choice would hide it.
    """

    model: str
    pairs: Pairs = Pairs()
    loss: str = "dpo"
    credit: str = "uniform"
    rank: int | None = None
    last: bool = False

    @property
    def name(self) -> str:
        """A name that says all of it."""
        rank, last = "" if self.rank is None else f"-r{self.rank}", "-last" if self.last else ""
        return f"{self.model}-{self.loss}-{self.credit}{rank}-{self.pairs.name}{last}"

    @property
    def run(self) -> Arm:
        """The arm whose run this one reports of."""
        return replace(self, last=False)

    def method(self, strength: Mapping[str, float]) -> dict[str, Any]:
        """The section `method` of a recipe; ``strength`` are fields of the link, such as β."""
        return {"link": {**LOSSES[self.loss], **strength}, "credit": CREDITS[self.credit]}

    @property
    def scale(self) -> tuple[str, str]:
        """Loss and what scales its argument: arms that share it share the strength that suits them."""
        weight = CREDITS[self.credit].get("weight", {}).get("kind", "constant")
        return self.loss, weight


def _plain(scorer: str) -> str:
    return "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in scorer)
