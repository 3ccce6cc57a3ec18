"""How to rank: one frozen value, composed of the choices that live in the files beside this one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.rank.choose import Cut
from tastemaker.rank.construct import Construct
from tastemaker.rank.drop import Drop
from tastemaker.rank.ensemble import Ensemble
from tastemaker.rank.prompts import Spread
from tastemaker.rank.relabel import Relabel
from tastemaker.rank.worth import SCALES, Worth


@dataclass(frozen=True)
class Ranking:
    """The choices in the order in which they are made; all but the cut do nothing unless asked to.

    Raises `UserError` for choices that do not go together.
    """

    relabel: Relabel = field(default_factory=Relabel)
    construct: Construct = field(default_factory=Construct)
    ensemble: Ensemble = field(default_factory=Ensemble)
    worth: Worth = field(default_factory=Worth)
    drop: Drop = field(default_factory=Drop)
    spread: Spread = field(default_factory=Spread)
    cut: Cut = field(default_factory=Cut)

    def __post_init__(self) -> None:
        by = self.worth.by
        if by not in SCALES and (self.ensemble.combine or self.ensemble.weights):
            raise UserError(f"--by {by}: deals with several scorers by itself; leave --combine and --weight out")
        if by == "kto" and (self.relabel.to or self.construct.most):
            raise UserError("--by kto: goes by what people said alone; leave --relabel and --construct out")
        if self.worth.temperature is not None and not self.probable:
            raise UserError("--temperature: is that of --by bradley-terry and --max-wrong-rate; give one of them")
        if self.spread.diverse and self.cut.order == "random":
            raise UserError("--diverse and --order random: they exclude each other; give one of them")
        if self.spread.diverse and self.cut.threshold:
            raise UserError("--diverse and --threshold: in turn the worth does not fall; say --fraction or --count")

    @property
    def probable(self) -> bool:
        """Whether the probability that a label is right is asked for."""
        return self.worth.by == "bradley-terry" or self.cut.max_wrong_rate is not None

    @property
    def changes_labels(self) -> bool:
        """Whether a pair can have another origin than its label."""
        return bool(self.relabel.to or self.construct.most)

    def check(self, scorers: int, singles: bool) -> None:
        """Raise `UserError` where these choices need several scorers, one, or pairs, and the data have them not."""
        if scorers == 1 and (self.worth.by == "agreement" or self.ensemble.combine or self.ensemble.weights):
            raise UserError("--by agreement, --combine and --weight: are of several scorers; name more after --scorer")
        if scorers > 1 and self.worth.temperature is not None:
            raise UserError("--temperature: is of one scorer; leave it out to fit one for each")
        if singles and (self.probable or self.changes_labels or self.worth.by in ("agreement", "kto")):
            raise UserError(
                "images that were judged alone: have no margin and no opponent; rank them by quality or margin, "
                "without --max-wrong-rate, --relabel and --construct"
            )

    def as_json(self) -> dict[str, Any]:
        """What was asked for beyond the cut, for metadata, summary and fingerprint."""
        parts = {name: getattr(self, name) for name in ("relabel", "construct", "ensemble", "worth", "spread")}
        asked = {name: asdict(part) for name, part in parts.items() if part != type(part)()}
        return asked | ({"drop": self.drop.as_json()} if self.drop != Drop() else {})
