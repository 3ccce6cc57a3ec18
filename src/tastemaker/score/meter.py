"""The progress bar of a scoring run: rows a second, the time that is left, and what that time will cost."""

from __future__ import annotations

import time
from types import TracebackType

from tastemaker.base.progress import bar


class Meter:
    """Counts rows. ``price`` is that of one worker for an hour, in whatever currency the user pays."""

    def __init__(self, what: str, rows: int, workers: int, price: float | None = None) -> None:
        self.rows, self.done = rows, 0
        self._workers, self._price = workers, price
        self._started = time.monotonic()
        nothing: tuple[int, ...] = ()
        self._bar = bar(nothing, what, total=rows, unit="row")

    def __call__(self, rows: int) -> None:
        """So many more rows are done."""
        self.done += rows
        self._bar.set_postfix_str(self.left, refresh=False)
        self._bar.update(rows)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    @property
    def worker_hours_left(self) -> float:
        """At the pace so far, of all workers together."""
        return self.seconds / max(self.done, 1) * (self.rows - self.done) * self._workers / 3600

    @property
    def left(self) -> str:
        """What the rest will cost, as the bar shows it."""
        hours = self.worker_hours_left
        return f"{hours:.2f} worker-hours left" + ("" if self._price is None else f", {hours * self._price:.2f} to pay")

    def figures(self) -> dict[str, float]:
        """For the summary: this run's own pace, and its cost where the price is known."""
        hours = self.seconds * self._workers / 3600
        pace = {"rows_per_second": self.done / self.seconds, "worker_hours": hours}
        return pace | ({} if self._price is None else {"cost": hours * self._price})

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
