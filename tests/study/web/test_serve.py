"""The server as a process: what it prints, that a vote it has acknowledged outlives it, and how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from study.web.apps import current, form, study, vote
from tastemaker.base.errors import UserError
from tastemaker.study import raters, votes
from tastemaker.study.web.serve import announce, serve
from tastemaker.study.web.settings import Settings

PROGRAM = """
import sys
from pathlib import Path
from tastemaker.base.errors import Interrupted
from tastemaker.study.series import open_series
from tastemaker.study.web.serve import announce, serve
from tastemaker.study.web.settings import Settings
try:
    serve(open_series(Path(sys.argv[1])), Settings(port=int(sys.argv[2]), **eval(sys.argv[3])))
except Interrupted as error:
    sys.exit(128 + error.signum)
"""
PATIENCE = 60.0


@contextmanager
def server(folder: Path, port: int = 0, **settings: Any) -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """A process that serves ``folder``, and a browser that does not follow redirects."""
    command = [sys.executable, "-c", PROGRAM, str(folder), str(port), repr(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = re.match(r"address +(http://\S+)\n", process.stdout.readline())
            assert address
            url = settings.get("public_url") and f"http://127.0.0.1:{port}"
            with httpx2.Client(base_url=url or address[1]) as browser:
                assert eventually(browser) == 204
                yield process, browser
        finally:
            process.kill()


def eventually(browser: httpx2.Client) -> int:
    """The status of `/healthz`, as soon as the server answers."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return browser.get("/healthz").status_code
        except httpx2.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_an_acknowledged_vote_outlives_a_killed_server(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    path, port = f"/join/{raters.invite(current(series))}", free_port()
    with server(tmp_path / "s", port) as (process, browser):
        browser.post(path, data=form(browser.get(path).text, name="Ada", agree="yes"))
        cookies = browser.cookies
        answer = vote(browser, browser.get("/api/task").json(), 1)  # type: ignore[arg-type]
        process.kill()
        assert answer.status_code == 200
        assert process.wait() == -signal.SIGKILL
    with server(tmp_path / "s", port) as (process, browser):
        browser.cookies = cookies
        seen = browser.get("/api/task").json()
        assert seen["token"] == answer.json()["token"]
        assert seen["progress"] == {"done": 1, "of": 3}
        assert "server" not in browser.get("/").headers
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 143
    assert len(votes.every(current(series))) == 1


def test_what_is_printed_opens_the_pages(tmp_path: Path) -> None:
    study(tmp_path / "s").close()
    with server(tmp_path / "s", passphrase="green herons") as (process, browser):
        assert process.stdout is not None
        joining, admin = process.stdout.readline().strip(), process.stdout.readline().strip()
        assert joining == f"people join  {browser.base_url}/join, with the passphrase"
        link = re.fullmatch(r"admin +(\S+/admin\?secret=[\w-]{32})", admin)
        assert link
        assert browser.get(link[1]).status_code == 303
        assert browser.get("/admin").status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def test_links_that_nobody_else_can_open_are_said_to_be_such(capsys: pytest.CaptureFixture[str]) -> None:
    for settings, said in ((Settings(host="0.0.0.0"), 1), (Settings(), 0)):
        announce(settings)
        assert capsys.readouterr().out.count("give --public-url") == said
    announce(Settings(host="0.0.0.0", public_url="https://study.example.org", admin_secret="s"))
    shown = capsys.readouterr().out
    assert "by invitation" in shown
    assert "https://study.example.org/admin?secret=s" in shown
    assert "--public-url" not in shown


@pytest.mark.parametrize(("trusted", "told"), [("127.0.0.1", [200, 200, 429]), ("192.0.2.1", [200, 429, 429])])
def test_only_the_trusted_proxy_says_where_people_come_from(trusted: str, told: list[int], tmp_path: Path) -> None:
    """Two people behind the proxy, one of whom looks twice; somebody else's word makes all of them one."""
    study(tmp_path / "s").close()
    with server(tmp_path / "s", trusted_proxy=trusted, reads=1) as (_, browser):
        people = ["192.0.2.7", "192.0.2.8", "192.0.2.8"]
        codes = [browser.get("/", headers={"X-Forwarded-For": person}).status_code for person in people]
    assert codes == told


def test_too_large_a_post_in_pieces_is_refused_and_the_server_goes_on(tmp_path: Path) -> None:
    study(tmp_path / "s").close()
    with server(tmp_path / "s") as (_, browser):
        answer = browser.post("/api/vote", content=iter([b"x" * 1024] * 65))
        assert (answer.status_code, list(answer.json())) == (413, ["error"])
        assert browser.get("/healthz").status_code == 204


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"^port {port}: is in use; .* choose another --port$"):
            serve(series, Settings(port=port))


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "", "a b", "a" * 70 + ".b"])
def test_a_host_that_is_not_ours_is_said(host: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^host .*use --host 127\.0\.0\.1"):
        serve(study(tmp_path / "s"), Settings(host=host))
