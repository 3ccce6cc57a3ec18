"""`tastemaker study` as a process of its own: serving, and what is said where a library is missing."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from study.pictured import made


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE", "PASSPHRASE", "ADMIN_SECRET"):
        monkeypatch.delenv(f"TASTEMAKER_{name}", raising=False)


@pytest.mark.slow
def test_serving_by_the_settings_of_the_environment() -> None:
    """The real command: open link with the passphrase, the admin's secret; stopped by SIGTERM it says so, code 143."""
    study, port = made(Path()), free_port()
    secrets = {"TASTEMAKER_PASSPHRASE": "sesame", "TASTEMAKER_ADMIN_SECRET": "private"}
    command = [Path(sys.executable).with_name("tastemaker"), "study", "serve", study, "--port", str(port)]
    server = subprocess.Popen(
        command, env=os.environ | secrets, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 60
        while not ready(port) and time.monotonic() < until:
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}"
        assert "passphrase" in httpx2.get(f"{url}/join").text
        assert httpx2.get(f"{url}/admin", params={"secret": "private"}).status_code == 303
        assert httpx2.get(f"{url}/admin", params={"secret": "guess"}).status_code == 403
        server.send_signal(signal.SIGTERM)
        out, error = server.communicate(timeout=60)
    finally:
        server.kill()
    assert server.returncode == 143
    assert error.startswith("tastemaker: stopped by signal 15")
    assert f"{url}/admin?secret=private" in out


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 204
    except httpx2.TransportError:
        return False


BLOCKED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from tastemaker.cli.app import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "line", "said"),
    [
        ("sqlalchemy", "status study", "sqlalchemy is not installed; pip install 'tastemaker[study]'"),
        ("sqlalchemy", "export study --out new", "sqlalchemy is not installed; pip install 'tastemaker[study]'"),
        ("fastapi,starlette", "serve study", "is not installed; pip install 'tastemaker[study]'"),
        ("uvicorn", "serve study", "uvicorn is not installed; pip install 'tastemaker[study]'"),
        ("limits", "serve study", "limits is not installed; pip install 'tastemaker[study]'"),
        (
            "psycopg",
            "status study --database postgresql://me:hidden@127.0.0.1:1/none",
            "No module named 'psycopg'; pip install 'tastemaker[postgresql]'",
        ),
    ],
)
def test_what_is_not_installed_is_said_with_the_command_that_installs_it(missing: str, line: str, said: str) -> None:
    made(Path())
    words = [sys.executable, "-c", BLOCKED, missing, "study", *shlex.split(line)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert not Path("new").exists()


@pytest.mark.slow
def test_a_library_of_the_rest_that_is_missing_is_no_extra() -> None:
    made(Path())
    words = [sys.executable, "-c", BLOCKED, "numpy", "study", "status", "study"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 70
    assert "tastemaker[study]" not in done.stderr
