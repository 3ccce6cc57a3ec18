"""Who takes part in the contest of methods, and the small budget that each is tuned with.

An entrant trains on one set of pairs by one method. Those that share a loss and a scale share their tuned settings, so
that between them one thing differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALL, BEST, RANDOM = "all", "best", "random"
"""The sets of pairs: every one, the best by Q, and a random set as large as the best, drawn anew for each seed."""
RATE, FASTER = 3e-4, 1e-3

Settings = Mapping[str, float]
"""What is tuned: `lr`, and the link's strength under the name of its field."""


@dataclass(frozen=True)
class Entrant:
    """``method`` is a recipe's section; ``strengths`` of the link's field ``knob`` are tried, then a higher rate."""

    name: str
    method: Mapping[str, Any]
    pairs: str = ALL
    knob: str = "beta"
    strengths: tuple[float, ...] = (100, 300, 1000)
    rates: tuple[float, ...] = (RATE,)
    tuned_as: str | None = None
    says: str = field(default="", compare=False)

    def first_settings(self) -> list[Settings]:
        """The settings tried first; where strengths were tried, the best of them is tried again at `FASTER`."""
        return [{self.knob: value} | {"lr": rate} for value in self.strengths for rate in self.rates] or [
            {"lr": rate} for rate in self.rates
        ]

    def with_settings(self, settings: Settings) -> dict[str, Any]:
        """The method's section with the tuned strength in its link."""
        tuned = {name: value for name, value in settings.items() if name != "lr"}
        return {**self.method, "link": {**self.method["link"], **tuned}}


def _credit(link: str = "logistic", **credit: Any) -> dict[str, Any]:
    return {"link": {"kind": link}, "credit": credit}


def _slice(low: float, high: float) -> dict[str, Any]:
    return _credit(when={"kind": "range", "low": low, "high": high})


STEPWISE, SINGLE_SHOT = {"kind": "stepwise"}, {"kind": "single-shot"}
SLICES = {
    f"slice-{low:.1f}-{high:.1f}": (low, high) for low, high in ((0, 0.1), (0.3, 0.4), (0.5, 0.6), (0.7, 0.8), (0.9, 1))
}

ENTRANTS = (
    Entrant("sft", _credit("sft"), strengths=(), rates=(3e-5, 1e-4, 3e-4, 1e-3), says="winners only"),
    Entrant("uniform", _credit(), says="Diffusion-DPO"),
    Entrant("discounted", _credit(weight={"kind": "discounted"}), says="γ^k as weight"),
    Entrant("discounted-sampling", _credit(when={"kind": "discounted"}), tuned_as="uniform", says="t ∝ γ^k"),
    Entrant("range-200-700", _slice(0.2, 0.7), tuned_as="uniform", says="t in 200–700"),
    *(Entrant(name, _slice(*ends), tuned_as="uniform", says="t in a tenth") for name, ends in SLICES.items()),
    Entrant("logit-normal", _credit(when={"kind": "logit-normal"}), tuned_as="uniform", says="SD3's times"),
    Entrant("min-snr", _credit(weight={"kind": "min-snr"}), strengths=(300, 1000, 3000), says="min(SNR, 5)/SNR"),
    Entrant("dde", _credit(weight=SINGLE_SHOT, correction=STEPWISE), strengths=(10, 30, 100), says="both parts"),
    Entrant("dde-single", _credit(weight=SINGLE_SHOT), strengths=(10, 30, 100), says="single-shot weight"),
    Entrant("dde-step", _credit(correction=STEPWISE), says="stepwise correction"),
    Entrant("ipo", _credit("squared"), says="squared link"),
    Entrant("slic", _credit("hinge"), says="hinge link"),
    Entrant("orpo", _credit("odds"), knob="weight", strengths=(0.1, 0.3, 1.0), says="odds link, no reference"),
    Entrant("kto", _credit("pointwise"), strengths=(50, 150, 500), says="pointwise link"),
    Entrant("qsd", _credit(), BEST, says="Diffusion-DPO on the best 30 % by Q"),
    Entrant("random-30", _credit(), RANDOM, tuned_as="qsd", says="… on a random 30 %"),
    Entrant("qsd-slic", _credit("hinge"), BEST, tuned_as="slic", says="SLiC on the best 30 %"),
    Entrant("qsd-orpo", _credit("odds"), BEST, tuned_as="orpo", says="ORPO on the best 30 %"),
    Entrant(
        "qsd-dde", _credit(weight=SINGLE_SHOT, correction=STEPWISE), BEST, tuned_as="dde", says="DDE on the best 30 %"
    ),
)
BY_NAME = {entrant.name: entrant for entrant in ENTRANTS}
