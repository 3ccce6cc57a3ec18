"""How many pairs a run has read, in all and distinct ones: the saving that DPO-QSD is about."""

from __future__ import annotations

from dataclasses import dataclass

from tastemaker.base.files import read_json
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.runs import Shop


@dataclass(frozen=True)
class Samples:
    """Pairs of a run: ``read`` with repetition, ``distinct`` ones among them, ``whole`` how many there are."""

    read: int
    distinct: int
    whole: int

    @property
    def shown(self) -> tuple[str, str]:
        """As in "1,920" and "887 (30 %)"."""
        return f"{self.read:,}", f"{self.distinct:,} ({percent(self.distinct / self.whole)})"


def samples(shop: Shop, arm: Arm, seed: int) -> Samples | None:
    """Of a finished run; None where its files are gone. A run reads its whole set before it repeats a pair."""
    run, own = shop.place(arm, seed) / "run" / "summary.json", shop.pairs(arm.pairs, seed).out
    whole = shop.pairs(Pairs(), 0).out
    if not all(path.is_file() for path in (run, own, whole)):
        return None
    read = int(read_json(run)["pairs_seen"])
    return Samples(read, min(read, int(read_json(own)["kept"])), int(read_json(whole)["kept"]))


def percent(share: float) -> str:
    """As in 5.33 %, 30 % or 100 %."""
    return f"{100 * share:.3g} %"
