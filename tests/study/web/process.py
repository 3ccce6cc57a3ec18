"""The study server as a process of its own, that can be killed and started again on its port."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tastemaker.study import raters
from tastemaker.study.db import Store, open_study

SERVING = """
import json, sys
from pathlib import Path
from tastemaker.base.errors import Interrupted
from tastemaker.study.series import open_series
from tastemaker.study.web.serve import serve
from tastemaker.study.web.settings import Settings
folder, database, settings = sys.argv[1:]
try:
    serve(open_series(Path(folder), database), Settings(**json.loads(settings)))
except Interrupted as stopped:
    sys.exit(128 + stopped.signum)
"""
UNLIMITED = dict.fromkeys(("logins", "posts", "reads"), 10**9)
START_SECONDS = 60.0


@dataclass
class Server:
    """A server of the study in ``folder``, its database at ``database`` if not SQLite.

    ``settings`` are `Settings`; unless they say so, nobody's rate is limited.
    """

    folder: Path
    database: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = json.dumps({"port": self.port} | UNLIMITED | dict(self.settings))
        words = [sys.executable, "-c", SERVING, str(self.folder), self.database, settings]
        with (self.folder.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while not self._ready():
            assert self.process.poll() is None, (self.folder.parent / "server.log").read_text()
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.02)

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Send it the signal and wait for its end; its exit code."""
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(30)

    def _ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=2).status_code == 204
        except httpx2.TransportError:
            return False


@contextmanager
def running(folder: Path, database: str = "", **settings: Any) -> Iterator[Server]:
    """A server that has started; it is gone when the block is left."""
    server = Server(folder, database, settings)
    server.start()
    try:
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.stop(signal.SIGKILL)


@contextmanager
def opened(folder: Path, database: str = "") -> Iterator[Store]:
    store = open_study(folder, database)
    try:
        yield store
    finally:
        store.close()


def invited(folder: Path, number: int, database: str = "") -> list[str]:
    """Personal links (their paths) for so many people."""
    with opened(folder, database) as store:
        return [f"/join/{raters.invite(store)}" for _ in range(number)]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
