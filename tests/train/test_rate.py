from __future__ import annotations

from tastemaker.train.config import Settings
from tastemaker.train.rate import rate


def test_rate_rises_linearly_and_stays() -> None:
    chosen = Settings(lr=1.0, warmup_steps=4)
    assert [rate(step, 6, chosen) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert rate(0, 6, Settings(lr=1.0)) == 1.0
