"""What is left of a scoring run, in hours and in money."""

from __future__ import annotations

import time

import pytest

from tastemaker.base.errors import UserError
from tastemaker.score.meter import Meter
from tastemaker.score.runner import Settings


def test_hours_and_cost_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 of 400 rows in half an hour by 4 workers: 1.5 hours are left, 6 of a worker's; at 2.5 an hour 15."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Meter("scoring", rows=400, workers=4, price=2.5) as meter:
        now[0] = 1800.0
        meter(60)
        meter(40)
        assert meter.worker_hours_left == pytest.approx(6.0)
        assert meter.left == "6.00 worker-hours left, 15.00 to pay"
        assert meter.figures() == pytest.approx({"rows_per_second": 100 / 1800, "worker_hours": 2.0, "cost": 5.0})


def test_without_a_price_there_is_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Meter("scoring", rows=2, workers=1) as meter:
        now[0] = 3600.0
        meter(1)
        assert meter.left == "1.00 worker-hours left"
        assert "cost" not in meter.figures()


@pytest.mark.parametrize("price", [-1.0, float("inf"), float("nan")])
def test_a_price_is_a_number(price: float) -> None:
    with pytest.raises(UserError, match="--price"):
        Settings(price=price)
