"""Where votes are kept: one SQLite file in the study's folder, or a PostgreSQL database by its URL.

Whatever changes something does so in one transaction that first takes the study's one row, so writers come one after
the other, also those of other processes. A transaction is on disk before `Store.write` is left: SQLite flushes its log
at every commit (WAL, synchronous FULL), PostgreSQL too (synchronous_commit). Of a rater there is a chosen name only.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
    text,
    update,
)  # fmt: skip
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.schema import CreateSchema

from tastemaker.base.errors import UserError
from tastemaker.study import design as designs
from tastemaker.study.design import Design

NAME = "study.sqlite"
FORMAT = 1
State = Literal["open", "paused", "closed"]
BUSY_SECONDS = 10.0
"""How long a writer waits for another."""
PAUSE_SECONDS = 0.02
LOCK = 0x7A57E  # of pg_advisory_xact_lock: two servers that make the tables at the same time

tables = MetaData()
study = Table(
    "study", tables,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("format", Integer, nullable=False),
    Column("design", String(64), nullable=False),
    Column("state", String(8), CheckConstraint("state IN ('open', 'paused', 'closed')"), nullable=False),
)  # fmt: skip
rater = Table(
    "rater", tables,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("token", String(64), nullable=False, unique=True),  # hex SHA-256 of it
    Column("joined", Float),  # when the consent was given; null of an invitation that waits
)  # fmt: skip
assignment = Table(
    "assignment", tables,
    Column("id", Integer, primary_key=True),
    Column("token", String(32), nullable=False, unique=True),
    Column("rater", ForeignKey("rater.id"), nullable=False),
    Column("item", Integer, nullable=False),
    Column("slot", Integer),  # which of the item's places is held; null when it was given back
    Column("shown", Text, nullable=False),  # places of the images from the left, as JSON
    Column("state", String(8), CheckConstraint("state IN ('open', 'done', 'skipped', 'expired')"), nullable=False),
    Column("given", Float, nullable=False),
    Column("number", Integer, nullable=False),  # of the rater's tasks
    UniqueConstraint("rater", "item"),
    UniqueConstraint("item", "slot"),
)  # fmt: skip
vote = Table(
    "vote", tables,
    Column("id", Integer, primary_key=True),
    Column("assignment", ForeignKey("assignment.id"), nullable=False),
    Column("question", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("answer", Text, nullable=False),  # canonical, as JSON; null takes back what was said
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("key", String(64), nullable=False),  # the client's, the same when it posts again
    UniqueConstraint("assignment", "question", "revision"),
    UniqueConstraint("assignment", "question", "key"),
)  # fmt: skip


class Unavailable(UserError):
    """The database stays locked, is damaged or cannot be reached: the same request may succeed later."""


@dataclass(frozen=True)
class Store:
    """An open study: its design, its folder, and transactions on its database; safe to use from many threads."""

    folder: Path
    design: Design
    engine: Engine
    name: str
    """The database as messages call it: without a password."""
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that excludes other writers; on disk when the block is left, undone when it raises.

        Raises `Unavailable` when the database stays locked by another program or cannot be reached.
        """
        with self._in_turn(), _said(self.name), self.engine.connect() as plain:
            connection = plain.execution_options(begin="BEGIN IMMEDIATE")
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SET LOCAL synchronous_commit TO on"))
                connection.execute(select(study.c.id).with_for_update())
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and waits for nobody. Raises `Unavailable` as `write`."""
        with _said(self.name), self.engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let the writers of this process queue: SQLite lets them poll, and some never come first."""
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise Unavailable(f"{self.name}: too many are writing; try again in a moment")
        try:
            yield
        finally:
            self._turn.release()


def open_study(folder: Path, url: str = "", schema: str = "") -> Store:
    """Open the study in ``folder`` with its own SQLite file, or with the PostgreSQL database at ``url``.

    ``schema`` is PostgreSQL's, made where it is not there: by it several studies share a database.

    Raises `UserError` when the database belongs to another design or another version of Tastemaker, is damaged or
    locked, or cannot be reached; a password in ``url`` is never shown.
    """
    design = designs.read(folder)
    place = _postgresql(url) if url else URL.create("sqlite", database=str(folder / NAME))
    name = place.render_as_string(hide_password=True) if url else str(folder / NAME)
    store = Store(folder, design, _engine(place, schema), name)
    try:
        _prepare(store, schema)
    except BaseException:
        store.close()
        raise
    return store


def set_state(store: Store, state: State) -> None:
    """``paused`` and ``closed`` give out no more tasks, ``open`` does; votes on tasks already given are taken.

    A closed study is one that nobody waits for any more, however much of it is done.
    """
    with store.write() as connection:
        connection.execute(update(study).values(state=state))


def state_of(store: Store) -> State:
    """Whether tasks are given out."""
    with store.read() as connection:
        state: State = connection.execute(select(study.c.state)).scalar_one()
        return state


def _prepare(store: Store, schema: str) -> None:
    """Make what is not there yet, and see that the database belongs to the design."""
    with _said(store.name), store.engine.connect() as plain:
        connection = plain.execution_options(begin="BEGIN IMMEDIATE")
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                if schema:
                    connection.execute(CreateSchema(schema, if_not_exists=True))
            tables.create_all(connection, tables=[study])
            found = connection.execute(select(study.c.format, study.c.design)).one_or_none()
            if found:
                _check(store, *found)
            else:
                connection.execute(insert(study).values(id=1, format=FORMAT, design=store.design.sha, state="open"))
            tables.create_all(connection)


def _check(store: Store, version: int, sha: str) -> None:
    if version != FORMAT:
        raise UserError(
            f"{store.name}: has format {version}, this Tastemaker reads {FORMAT}; use the version that made it"
        )
    if sha != store.design.sha:
        raise UserError(
            f"{store.name}: holds the votes of another design than {designs.STUDY}; put the file back as it was, or "
            "choose another database"
        )


def _postgresql(url: str) -> URL:
    try:
        place = make_url(url)
    except (ArgumentError, ValueError):
        raise UserError("the database's URL is not understood; write postgresql://user:password@host/name") from None
    if place.get_backend_name() not in ("postgresql", "postgres"):
        raise UserError(
            f"{place.get_backend_name()}: no such database here; write postgresql://user:password@host/name"
        )
    return place.set(drivername="postgresql+psycopg")


def _engine(place: URL, schema: str) -> Engine:
    lite = place.get_backend_name() == "sqlite"
    wait: dict[str, Any] = {"timeout": BUSY_SECONDS} if lite else {"connect_timeout": int(BUSY_SECONDS)}
    if schema and not lite:
        wait["options"] = f"-csearch_path={schema}"
    try:
        engine = create_engine(place, connect_args=wait, pool_pre_ping=not lite, hide_parameters=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UserError(f"{error}; pip install 'tastemaker[postgresql]'") from None
    if lite:
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begin)
    return engine


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        _patiently(connection, f"PRAGMA {pragma}")


def _patiently(connection: Any, statement: str) -> None:
    """Execute it; where WAL is turned on by two programs at once SQLite does not wait by itself, whatever its limit."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


@contextmanager
def _said(name: str) -> Iterator[None]:
    """What the database says, in one line for people."""
    try:
        yield
    except NoneFree:
        raise Unavailable(f"{name}: all connections are in use; try again in a moment") from None
    except DBAPIError as error:
        _explain(name, error)


def _explain(name: str, error: DBAPIError) -> NoReturn:
    said = " ".join(str(error.orig).split())[:160]
    ways = {
        "locked": "another program is writing to it; close that program and try again",
        "not a database": "move the file away, or bring back a copy",
        "malformed": "move the file away, or bring back a copy",
        "disk is full": "free some space",
        "unable to open": "see that the folder can be written",
        "readonly": "see that the folder can be written",
        "password authentication": "correct user and password",
        "connection": "start the server, or correct the URL",
        "resolve host": "correct the host in the URL",
    }
    way = next((way for word, way in ways.items() if word in said), None)
    if way is None:
        raise error
    raise Unavailable(f"{name}: {said}; {way}") from None
