"""How much and how often one may ask, and the settings that say so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from study.web.apps import (
    SECRET,
    another,
    client,
    current,
    form,
    invited,
    study,
    token,
)
from tastemaker.base.errors import UserError
from tastemaker.study import raters
from tastemaker.study.web import texts
from tastemaker.study.web.guard import LARGEST_BODY
from tastemaker.study.web.settings import Settings

SCRIPT = "<script>alert('1')</script>\"'&"
POLICY = "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


@pytest.mark.parametrize("path", ["/api/vote", "/join", "/admin/state", "/nowhere"])
def test_a_body_that_is_too_large_is_refused_with_and_without_a_length(path: str, tmp_path: Path) -> None:
    browser = client(study(tmp_path / "s"))

    def pieces() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b"x" * 1024

    assert browser.post(path, content=b"x" * (LARGEST_BODY + 1)).status_code == 413
    assert browser.post(path, content=pieces()).status_code == 413
    assert browser.post(path, content=b"x" * LARGEST_BODY).status_code in (400, 401, 403, 404, 405)


def test_a_body_that_comes_in_pieces_is_whole(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    text = f'{{"token": "{browser.get("/api/task").json()["token"]}"}}'.encode()
    headers = token(browser) | {"Content-Type": "application/json"}
    answer = browser.post("/api/skip", content=(text[n : n + 1] for n in range(len(text))), headers=headers)
    assert answer.status_code == 200


def test_who_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series, posts=3, reads=20), series)
    page = token(browser)
    answers = [browser.post("/api/undo", json={"key": "k"}, headers=page) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    wait = int(answers[-1].headers["Retry-After"])
    assert 1 <= wait <= 60
    assert answers[-1].json() == {"error": texts.slow_down(wait)}
    assert invited(another(browser), series, "Bo").get("/api/task").status_code == 200  # each rater alone
    codes = [browser.get(path).status_code for path in ["/api/task", "/task", "/me", "/"] * 6]
    assert set(codes[-4:]) == {429}
    assert codes.index(429) == 19  # one was the page with the token


def test_joins_and_admin_logins_are_counted_by_address(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = client(series, passphrase="p", logins=3)
    filled = form(browser.get("/join").text, name="Ada", agree="yes")
    codes = [browser.post("/join", data=filled | {"passphrase": guess}).status_code for guess in "abc"]
    assert codes == [403, 403, 403]
    answer = browser.post("/join", data=filled | {"passphrase": "p"})
    assert answer.status_code == 429
    assert "too often" in answer.text
    assert "Retry-After" in answer.headers
    assert browser.get("/admin", params={"secret": SECRET}).status_code == 429
    path = f"/join/{raters.invite(current(series))}"
    assert browser.post(path, data=form(browser.get(path).text, name="Ada", agree="yes")).status_code == 429


def test_who_has_not_joined_is_counted_by_address(tmp_path: Path) -> None:
    browser = client(study(tmp_path / "s"), reads=5)
    paths = ["/", "/join/guess", "/api/task", "/image/x/0", "/me", "/"]
    assert [browser.get(path).status_code for path in paths] == [200, 404, 401, 404, 303, 429]


def test_addresses_of_one_ipv6_network_are_one(tmp_path: Path) -> None:
    app = client(study(tmp_path / "s"), reads=1).app
    hosts = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.2"]
    people = [TestClient(app, follow_redirects=False, client=(host, 1)) for host in hosts]
    assert [person.get("/").status_code for person in people] == [200, 429, 200, 200, 200]


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"port": 70000}, "port: 70000"),
        ({"port": -1}, "port: -1"),
        ({"public_url": "study.example.org"}, "public_url"),
        ({"public_url": "https://example.org/study"}, "public_url"),
        ({"public_url": "https://example.org:port"}, "public_url"),
        ({"public_url": "https://ada@example.org"}, "public_url"),
        ({"public_url": "javascript://example.org"}, "public_url"),
        ({"max_raters": 0}, "max_raters"),
        ({"posts": 0}, "posts"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        Settings(**wrong)
    assert "\n" not in str(caught.value)


def test_addresses_of_the_settings() -> None:
    assert Settings().url == "http://127.0.0.1:8000"
    assert Settings(host="::1", port=90).url == "http://[::1]:90"
    assert Settings(public_url="https://study.example.org:8443/").url == "https://study.example.org:8443"


def test_threads_that_count_at_the_same_time_count_right(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = client(series, reads=50)
    codes: list[int] = []

    def look() -> None:
        mine = another(browser)
        codes.extend(mine.get("/").status_code for _ in range(10))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] * 50 + [429] * 30
