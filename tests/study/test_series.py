"""One address for a study, or for the rounds of a run as they open."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.studies import BIN, design, item, opened, postgresql
from tastemaker.base.errors import UserError
from tastemaker.study import raters
from tastemaker.study import series as series_module
from tastemaker.study.db import set_state, state_of
from tastemaker.study.series import Series, open_series


def round_of(run: Path, number: int, url: str = "", schema: str = "") -> Path:
    folder = run / f"rounds/round-{number:03d}/{series_module.ROUND}"
    opened(folder, design([item(n) for n in range(number + 1)]), url, schema).close()
    return folder


def test_a_single_study_is_a_series_of_one(tmp_path: Path) -> None:
    opened(tmp_path, design([item(0)])).close()
    series = open_series(tmp_path)
    store = series.current()
    assert store is not None
    assert series.current() is store
    assert not series.rounds
    token = raters.invite(store)
    assert series.known(token) is store
    assert series.joined(token) is None
    rater = raters.join(store, "Ada", token, 1.0)
    assert series.joined(token) == (store, rater)
    assert series.known("guess") is None
    series.close()


def follow(run: Path, series: Series, url: str = "") -> None:
    """A link of the first round goes on to the third, though the rater was never in the second."""
    assert series.current() is None
    assert series.known("guess") is None
    round_of(run, 0, url, "round_000")
    first = series.current()
    assert first is not None
    token, waiting = raters.invite(first), raters.invite(first)
    rater = raters.join(first, "Ada", token, 1.0)
    set_state(first, "closed")
    round_of(run, 1, url, "round_001")
    round_of(run, 2, url, "round_002")
    third = series.current()
    assert third is not None
    assert len(third.design.items) == 3
    assert state_of(third) == "open"
    assert series.joined(token) == (third, rater)
    assert series.known(waiting) is third
    assert series.joined(waiting) is None
    assert raters.count(third) == 2
    series.close()


def test_a_link_goes_on_through_the_rounds_of_a_run(tmp_path: Path) -> None:
    (tmp_path / series_module.RUN).write_text("{}")
    series = open_series(tmp_path)
    assert series.rounds
    follow(tmp_path, series)


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_the_rounds_of_a_run_share_a_postgresql_database(tmp_path: Path) -> None:
    (tmp_path / series_module.RUN).write_text("{}")
    with postgresql() as url:
        follow(tmp_path, open_series(tmp_path, url), url)


def test_a_folder_that_holds_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no study and no run"):
        open_series(tmp_path)
