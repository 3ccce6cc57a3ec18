"""What the page never sends: it is refused in one line, and nothing is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.web.apps import client, current, invited, post, study, token
from tastemaker.study import votes
from tastemaker.study.web import texts

THREE = ("preference", "appeal", "alignment")


@pytest.mark.parametrize("position", ["2", "-1", "01", "+0", "0x0", "٠", "9" * 5000, "a", "0%2f..", "%00"])
def test_a_position_that_is_none_is_not_found(position: str, tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    name = browser.get("/api/task").json()["token"]
    assert browser.get(f"/image/{name}/{position}").status_code == 404


WRONG: list[dict[str, Any]] = [
    {"answers": {}},
    {"answers": {"preference": 2}},
    {"answers": {"preference": None}},
    {"answers": {"preference": True}},
    {"answers": {"preference": [0, 1]}},
    {"answers": {"preference": {"a": 1}}},
    {"answers": {"preference": "left\x00"}},
    {"answers": {"appeal": 0}},
    {"answers": {"preference": 10**400}},
    {"answers": [0]},
    {"seconds": -1.0},
    {"seconds": "soon"},
    {"key": ""},
    {"key": "k" * 65},
    {"key": "k\x00"},
    {"token": "t\x00"},
    {"token": None},
    {"more": 1},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_cannot_be_an_answer_is_refused_in_one_line(wrong: dict[str, Any], tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    body = {"token": browser.get("/api/task").json()["token"], "answers": {"preference": 0}, "seconds": 1.0, "key": "k"}
    answer = post(browser, "/api/vote", **body | wrong)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert "\n" not in answer.json()["error"]
    assert votes.every(current(series)) == []


@pytest.mark.parametrize("text", ["", "{", '{"token": ' + "[" * 30000, '{"seconds": ' + "9" * 5000 + "}", "\xff"])
def test_what_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    kind = {"Content-Type": "application/json"}
    answer = browser.post("/api/vote", content=text.encode("latin-1"), headers=token(browser) | kind)
    assert (answer.status_code, answer.json()) == (400, {"error": texts.NOT_UNDERSTOOD})


def test_seconds_that_are_no_number_are_refused(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    name = browser.get("/api/task").json()["token"]
    for seconds in ("NaN", "Infinity", "1e999"):
        text = f'{{"token": "{name}", "answers": {{"preference": 0}}, "seconds": {seconds}, "key": "k"}}'
        kind = {"Content-Type": "application/json"}
        assert browser.post("/api/vote", content=text, headers=token(browser) | kind).status_code == 400
    assert votes.every(current(series)) == []
