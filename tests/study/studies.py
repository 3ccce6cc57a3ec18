"""Small studies for the tests of `tastemaker.study`, on SQLite or on a PostgreSQL server of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tastemaker.study import design as designs
from tastemaker.study.db import Store, open_study
from tastemaker.study.design import Design
from tastemaker.study.raters import invite, join
from tastemaker.study.vote import Image, Item

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))


def item(number: int, kind: str = "pair", images: int = 2, **more: Any) -> Item:
    """Item ``number``, or with ``repeats`` the same images as that item."""
    of = number if more.get("repeats") is None else more["repeats"]
    shas = tuple(Image(f"{of}-{place}", f"m{place}") for place in range(images))
    return Item(id=number, kind=kind, prompt=f"prompt {of}", images=shas, **more)


def design(items: Sequence[Item], **more: Any) -> Design:
    return Design(**{"title": "t", "kind": items[0].kind, "items": tuple(items)} | more)


def opened(folder: Path, study: Design, url: str = "", schema: str = "") -> Store:
    designs.write(folder, study)
    return open_study(folder, url, schema)


def joined(store: Store, number: int) -> list[str]:
    return [join(store, f"rater {n}", invite(store), 0.0) for n in range(number)]


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server that lives as long as the block; it never runs as root."""
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="tm-") as name, socket.socket() as free:
        base = Path(name)
        if user:
            shutil.chown(base, user)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        options = f"-p {port} -k {base} -c listen_addresses=127.0.0.1"
        _as(user, "initdb", "-D", f"{base}/data", "-A", "trust", "-U", "tm", "--no-locale", "-E", "UTF8")
        _as(user, "pg_ctl", "-D", f"{base}/data", "-l", f"{base}/log", "-w", "-o", options, "start")
        try:
            yield f"postgresql://tm:hidden@127.0.0.1:{port}/postgres"
        finally:
            _as(user, "pg_ctl", "-D", f"{base}/data", "-m", "immediate", "-w", "stop")


def _as(user: str | None, program: str, *words: str) -> None:
    subprocess.run([BIN / program, *words], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60, user=user)
