"""Opening a study, and one line for what can be wrong with its database; raters and their secrets."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import update

from study.studies import BIN, design, item, joined, opened, postgresql
from tastemaker.base.errors import UserError
from tastemaker.study import db
from tastemaker.study import design as designs
from tastemaker.study.db import NAME, open_study
from tastemaker.study.raters import carry, count, invite, join, known, rater_of


def test_what_is_committed_is_flushed_and_keys_are_kept(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0)]))
    with store.read() as connection:
        said = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert said == ["wal", 2]  # 2 is FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_opening_again_is_opening_the_same(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0)]))
    joined(store, 1)
    assert opened(tmp_path, design([item(0)])).design == store.design


def test_another_design_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, design([item(0)])).close()
    (tmp_path / "study.json").unlink()
    with pytest.raises(UserError, match=r"study\.sqlite: holds the votes of another design than study\.json; put"):
        opened(tmp_path, design([item(0)], raters_per_item=3))


def test_another_version_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0)]))
    with store.write() as connection:
        connection.execute(update(db.study).values(format=2))
    with pytest.raises(UserError, match="has format 2, this Tastemaker reads 1"):
        open_study(tmp_path)


def test_a_locked_database_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.05)
    store = opened(tmp_path, design([item(0)]))
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UserError, match=r"study\.sqlite: database is locked; another program is writing"):
        invite(store)
    other.close()
    invite(store)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"study\.sqlite: file is not a database; move the file away"):
        opened(tmp_path, design([item(0)]))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:secret@127.0.0.1:1/none", "start the server, or correct the URL"),
        ("mysql://me:secret@host/name", "mysql: no such database here"),
        ("secret", "is not understood"),
        ("postgresql://me:secret@127.0.0.1:port/none", "is not understood"),
    ],
)
def test_a_wrong_url_is_said_without_the_password(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        opened(tmp_path, design([item(0)]), url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_raises_in_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0)]))
    with suppress(ZeroDivisionError), store.write() as connection:
        connection.execute(update(db.study).values(state="paused"))
        raise ZeroDivisionError
    with store.read() as connection:
        assert connection.execute(db.study.select()).one().state == "open"


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_refusals_on_postgresql(tmp_path: Path) -> None:
    with postgresql() as url:
        opened(tmp_path / "one", design([item(0)]), url).close()
        with pytest.raises(UserError, match="holds the votes of another design") as caught:
            opened(tmp_path / "two", design([item(0), item(1)]), url)
        assert "hidden" not in str(caught.value)
        with pytest.raises(UserError, match="does not exist"):
            opened(tmp_path / "one", design([item(0)]), url.removesuffix("postgres") + "none")


def test_a_rater_is_an_id_a_name_and_the_hash_of_a_token(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0)]))
    token = invite(store)
    assert rater_of(store, token) is None
    rater = join(store, "  Ada \n L. ", token, 5.0)
    assert rater_of(store, token) == rater == join(store, "someone else", token, 6.0)
    with store.read() as connection:
        row = connection.execute(db.rater.select()).one()
    assert (row.name, row.joined) == ("Ada L.", 5.0)
    assert token.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_unknown_invitations_and_bad_names_are_refused(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0)]))
    with pytest.raises(UserError, match="open the whole link"):
        join(store, "a", "guess", 0.0)
    for name in ("", " \n", "n" * 61):
        with pytest.raises(UserError, match="choose a name of 1 to 60"):
            join(store, name, invite(store), 0.0)


def test_programs_that_open_a_new_study_at_the_same_time_wait_for_each_other(tmp_path: Path) -> None:
    """A run and its server meet a new round at the same moment; SQLite itself does not wait where WAL is turned on."""
    for number in range(25):
        designs.write(tmp_path / str(number), design([item(0)]))
        start = threading.Barrier(6)

        def open_now(folder: Path, start: threading.Barrier = start) -> None:
            start.wait()
            open_study(folder).close()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(open_now, [tmp_path / str(number)] * 6))


def test_raters_and_invitations_go_on_in_the_next_round(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "one", design([item(0)])), opened(tmp_path / "two", design([item(0), item(1)]))
    token, waiting = invite(one), invite(one)
    rater = join(one, "Ada", token, 5.0)
    for each in (token, waiting, token, "guess"):
        carry(two, each, one)
    assert rater_of(two, token) == rater
    assert known(two, waiting)
    assert rater_of(two, waiting) is None
    assert (count(two), known(two, "guess")) == (2, False)
    assert join(two, "Bo", waiting, 6.0) != rater
