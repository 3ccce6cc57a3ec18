"""What strangers and other sites must not be able to do, and what no page may say."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from fastapi.testclient import TestClient

from study.web.apps import (
    MODELS,
    SECRET,
    another,
    client,
    current,
    form,
    invited,
    of,
    png,
    post,
    source,
    study,
    token,
    vote,
)
from tastemaker.study import raters, votes
from tastemaker.study.build import create
from tastemaker.study.db import NAME
from tastemaker.study.design import STUDY, Plan
from tastemaker.study.series import open_series
from tastemaker.study.web import texts
from tastemaker.study.web.app import STATIC
from tastemaker.study.web.guard import LARGEST_BODY

SCRIPT = "<script>alert('1')</script>\"'&"
POLICY = "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


def test_posts_need_the_token_of_their_own_page(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    stranger = token(invited(another(browser), series, "Bo"))
    name = browser.get("/api/task").json()["token"]
    bodies: dict[str, dict[str, Any]] = {
        "/api/vote": {"token": name, "answers": {"preference": 0}, "seconds": 1.0, "key": "k"},
        "/api/undo": {"key": "k"},
        "/api/skip": {"token": name},
    }
    for path, body in bodies.items():
        for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "é"}, stranger):
            sent = {key.encode(): value.encode("latin-1") for key, value in headers.items()}
            answer = browser.post(path, json=body, headers=sent)
            assert (answer.status_code, answer.json()) == (403, {"error": texts.STALE})
        assert another(browser).post(path, json=body, headers=token(browser)).status_code == 401
    assert votes.every(current(series)) == []
    assert browser.get("/api/task").json()["token"] == name


def test_the_token_outlives_the_server(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    page = token(browser)
    restarted = client(series)
    restarted.cookies.set("rater", browser.cookies["rater"])
    name = restarted.get("/api/task").json()["token"]
    assert restarted.post("/api/skip", json={"token": name}, headers=page).status_code == 200


def test_cookies_are_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    for url, secure in (("", False), ("https://study.example.org", True)):
        browser = TestClient(client(series, public_url=url).app, base_url=url or "http://t", follow_redirects=False)
        path = f"/join/{raters.invite(current(series))}"
        page = browser.get(path)
        answer = browser.post(path, data=form(page.text, name="Ada", agree="yes"))
        admin = browser.get("/admin", params={"secret": SECRET})
        for response, same_site in ((page, "lax"), (answer, "lax"), (admin, "strict")):
            cookie = response.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert f"SameSite={same_site}" in cookie
            assert ("Secure" in cookie) == secure
        assert "Max-Age=2592000" in answer.headers["set-cookie"]
        assert SECRET not in admin.headers["set-cookie"]


def test_only_the_hash_of_a_rater_s_token_is_kept(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    series.close()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file())
    assert b"Ada" in everything
    assert browser.cookies["rater"].encode() not in everything


def test_every_answer_has_the_headers(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    seen = browser.get("/api/task").json()
    asset = next(path.name for path in STATIC.iterdir())
    paths = ["/", "/task", "/api/task", "/me", "/admin", "/nowhere", "/healthz", f"/static/{asset}", seen["images"][0]]
    answers = [browser.request(method, path) for path in paths for method in ("GET", "HEAD", "OPTIONS", "POST")]
    answers += [browser.post("/api/vote", content=b"x" * (LARGEST_BODY + 1)), browser.get("/static/nowhere.css")]
    for answer in answers:
        assert answer.status_code < 500
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        cached = {"/static/": "no-cache", "/image/": "private, max-age=3600"}
        kept = next((value for start, value in cached.items() if answer.url.path.startswith(start)), "no-store")
        assert answer.headers["Cache-Control"] in (kept, "no-store" if answer.is_error else kept)
        assert "server" not in answer.headers


def test_a_fault_of_ours_is_one_line_with_the_headers(tmp_path: Path) -> None:
    """The table of assignments is gone, which no user can bring about."""
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    with current(series).write() as connection:
        connection.exec_driver_sql("ALTER TABLE assignment RENAME TO away")
    answer = browser.get("/api/task")
    assert (answer.status_code, answer.json()) == (500, {"error": texts.BROKEN})
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_people_write_is_escaped(tmp_path: Path) -> None:
    create(tmp_path / "s", Plan(title=SCRIPT, consent=SCRIPT), of([(SCRIPT, [png("a"), png("b")])]))
    series = open_series(tmp_path / "s")
    browser = client(series, passphrase="p")
    pages = [browser.get("/"), browser.get("/join")]
    pages.append(browser.post("/join", data=form(pages[1].text, name=SCRIPT, passphrase=SCRIPT, agree="yes")))
    answer = browser.post("/join", data=form(pages[1].text, name=SCRIPT, passphrase="p", agree="yes"))
    assert answer.status_code == 303
    pages += [browser.get("/join"), browser.get("/task"), browser.get("/me")]
    browser.get("/admin", params={"secret": SECRET})
    pages.append(browser.get("/admin"))
    for page in pages:
        assert "&lt;script&gt;alert" in page.text
        assert "<script>alert" not in page.text
        assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert [*raters.names(current(series)).values()] == [SCRIPT]
    seen = browser.get("/api/task")
    assert seen.json()["prompt"] == SCRIPT
    assert seen.headers["content-type"] == "application/json"


def test_nothing_names_a_model_an_image_or_an_item(tmp_path: Path) -> None:
    """A whole way through a study with gold items and repetitions, every byte of every answer."""
    gold = of([("a green circle", [png("x"), png("y")])])
    gold = replace(gold, tasks=[replace(gold.tasks[0], gold=1)])
    create(tmp_path / "s", Plan(title="t", repeats=2, gold=1), source(4), gold)
    series = open_series(tmp_path / "s")
    browser = client(series)
    answers: list[Any] = []
    browser.event_hooks["response"].append(lambda answer: answers.append((answer, answer.read())))
    invited(browser, series)
    seen = browser.get("/api/task").json()
    while seen["state"] == "task":
        answers += [(answer, answer.content) for answer in map(browser.get, seen["images"])]
        seen = vote(browser, seen).json()
    assert seen["state"] == "done"
    assert seen["progress"]["done"] >= 6  # of 7: a repetition is never given right after its original
    items = current(series).design.items
    secrets = {image.sha for item in items for image in item.images} | {*MODELS, str(tmp_path), "parquet", "sqlite"}
    secrets |= {sha[:8] for sha in secrets if len(sha) == 64} | {"repeat", "gold", '"item"', "category"}
    assert len(answers) > 30
    for answer, body in answers:
        text = f"{answer.url} {answer.headers} {body!r}"
        assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e%2f%2e%2e%2fdb.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/",
        "/static",
        "/static/%00",
        "/image/../static/style.css",
        "/image/..%2f..%2fstudy.json/0",
        "/image/x/..%2f..%2fstudy.json",
        "/image/",
        "/docs",
        "/openapi.json",
        "/redoc",
        "//example.org/task",
        "/task/",
        "/join/x/y",
    ],
)
def test_no_address_leads_out_of_the_pages(path: str, tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    sent: list[int] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": unquote_to_bytes(path).decode(), "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"evil.example"), (b"cookie", f"rater={browser.cookies['rater']}".encode())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    _ask(browser.app, scope, sent)
    assert sent == [404]


def _ask(app: Any, scope: dict[str, Any], sent: list[int]) -> None:
    """One request as the server passes it on: a client library would tidy up the path."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            sent.append(message["status"])

    asyncio.run(app(scope, receive, send))


def test_redirects_stay_here(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = client(series, passphrase="p")
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    query = {"next": "https://evil.example", "secret": SECRET}
    stranger = [browser.get(path, headers=evil, params=query) for path in ("/task", "/me", "/admin")]
    invited(browser, series)
    for answer in [*stranger, browser.get("/", headers=evil, params=query)]:
        assert answer.status_code == 303
        assert answer.headers["location"] in ("/", "/task", "/admin")


def test_a_locked_database_is_said_without_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds the lock for longer than we wait, which is shortened to 0.1 s."""
    monkeypatch.setattr("tastemaker.study.db.BUSY_SECONDS", 0.1)
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    seen, page = browser.get("/api/task").json(), token(browser)
    body = {"token": seen["token"], "answers": {"preference": 0}, "seconds": 1.0, "key": "k"}
    other = sqlite3.connect(tmp_path / "s" / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = browser.post("/api/vote", json=body, headers=page)
    assert (answer.status_code, answer.json()) == (503, {"error": texts.BUSY})
    assert answer.headers["Retry-After"] == "2"
    other.execute("ROLLBACK")
    assert browser.post("/api/vote", json=body, headers=page).status_code == 200


def test_a_round_that_cannot_be_read_is_said_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{}")
    study(tmp_path / "rounds/round-000/study").close()
    series = open_series(tmp_path)
    browser = invited(client(series), series)
    (tmp_path / "rounds/round-001/study").mkdir(parents=True)
    (tmp_path / "rounds/round-001/study" / STUDY).write_text("{")
    for path in ("/api/task", "/", "/join/guess"):
        answer = browser.get(path)
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text


def test_a_post_without_a_cookie_is_nobody_s(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    assert post(browser, "/api/undo", key="k").status_code == 200
    assert another(browser).post("/api/undo", json={"key": "k"}).status_code == 401
