"""The interface behind the page: each kind of task there and back, undo, skip, states, and who gets which image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.studies import item
from study.web.apps import PROMPT, another, client, current, invited, png, post, study, vote
from tastemaker.study import assign, votes
from tastemaker.study import series as series_module
from tastemaker.study.assign import Given
from tastemaker.study.db import set_state
from tastemaker.study.series import Series, open_series
from tastemaker.study.vote import last
from tastemaker.study.web import texts, view

THREE = ("preference", "appeal", "alignment")


def shown(series: Series, token: str) -> list[int]:
    """The places of the images of a task from the left, as the database has them."""
    store = current(series)
    with store.read() as connection:
        row = connection.exec_driver_sql("SELECT shown FROM assignment WHERE token = ?", (token,)).one()
    return [int(place) for place in row.shown.strip("[]").split(",")]


def standing(series: Series) -> dict[str, Any]:
    """Question → answer of the only rater with one task, in places of the item's images."""
    return {vote.question: vote.answer for vote in last(votes.every(current(series)))}


def test_a_task_is_what_the_page_is_promised(tmp_path: Path) -> None:
    series = study(tmp_path / "s", questions=THREE, quota=2)
    browser = invited(client(series), series)
    seen = browser.get("/api/task").json()
    name, following = seen["token"], seen["next_images"]
    assert seen == {
        "state": "task",
        "token": name,
        "kind": "pair",
        "questions": [
            {"name": "appeal", "text": f"Which image is nicer to look at? {texts.HIDES}", "hidden": True},
            {"name": "preference", "text": "Which image do you prefer overall?", "hidden": False},
            {"name": "alignment", "text": "Which image fits the prompt better?", "hidden": False},
        ],
        "answered": {},
        "prompt": None,
        "images": [f"/image/{name}/0", f"/image/{name}/1"],
        "flags": [],
        "progress": {"done": 0, "of": 2},
        "can_undo": False,
        "next_images": following,
    }
    assert browser.get("/api/task").json() == seen
    assert vote(browser, seen).json()["images"] == following


def test_the_prompt_is_sent_once_its_absence_has_served(tmp_path: Path) -> None:
    series = study(tmp_path / "s", questions=THREE)
    browser = invited(client(series), series)
    answer = browser.get("/api/task")
    assert PROMPT not in answer.text
    body = {"token": answer.json()["token"], "seconds": 1.0}
    answer = post(browser, "/api/vote", **body, key="a", answers={"preference": 1})
    assert PROMPT not in answer.text
    answer = post(browser, "/api/vote", **body, key="b", answers={"appeal": "tie"})
    assert answer.json()["prompt"].startswith(PROMPT)
    assert answer.json()["answered"] == {"preference": 1, "appeal": "tie"}
    answer = post(browser, "/api/vote", **body, key="c", answers={"alignment": 0})
    assert answer.json()["token"] != body["token"]
    assert answer.json()["progress"]["done"] == 1
    answer = post(browser, "/api/undo", key="d")
    assert answer.json()["token"] == body["token"]
    assert PROMPT not in answer.text
    assert answer.json()["answered"] == {}


KINDS: list[tuple[str, int, dict[str, Any], Any]] = [
    ("pair", 2, {}, 1),
    ("pair", 2, {}, "tie"),
    ("best", 4, {}, 2),
    ("rank", 4, {}, [2, 0, 3, 1]),
    ("flag", 3, {"flags": ("hands", "unsafe")}, [[0, "hands"], [2, "hands"], [2, "unsafe"]]),
    ("flag", 2, {"flags": ("hands",)}, []),
]


@pytest.mark.parametrize(("kind", "images", "plan", "answer"), KINDS)
def test_answers_by_position_are_kept_by_place_and_come_back_by_position(
    kind: str, images: int, plan: dict[str, Any], answer: Any, tmp_path: Path
) -> None:
    """With seed 6 the places stand as 1 0, as 2 1 3 0 and as 2 0 1: never as in the item, the longer ones not even
    when there and back are mixed up.
    """
    second = {} if kind == "flag" else {"questions": ("preference", "alignment")}
    series = study(tmp_path / "s", 1, images, kind=kind, seed=6, **plan, **second)
    browser = invited(client(series), series)
    seen = browser.get("/api/task").json()
    assert len(seen["images"]) == images
    assert seen["flags"] == list(plan.get("flags", ()))
    order, first = shown(series, seen["token"]), seen["questions"][0]["name"]
    assert order == {2: [1, 0], 3: [2, 0, 1], 4: [2, 1, 3, 0]}[images]
    body = {"token": seen["token"], "seconds": 1.0, "key": "a", "answers": {first: answer}}
    seen = post(browser, "/api/vote", **body).json()
    assert standing(series) == {first: by_place(order, answer)}
    if kind == "flag":
        assert seen["state"] == "done"
    else:
        assert seen["answered"] == {first: answer}


def by_place(order: list[int], answer: Any) -> Any:
    """``answer`` by the places in the item of the images that stand in ``order``."""
    if answer == "tie":
        return answer
    if isinstance(answer, int):
        return order[answer]
    if answer and isinstance(answer[0], int):
        return tuple(order[position] for position in answer)
    return tuple(sorted((order[position], flag) for position, flag in answer))


def test_flags_come_back_by_position() -> None:
    given = Given("t", item(0, "flag", 3), (2, 0, 1))
    assert view.on_screen(given, [[0, "hands"], [1, "unsafe"]]) == [[1, "hands"], [2, "unsafe"]]


def test_wording_fits_every_kind_and_question(tmp_path: Path) -> None:
    for kind in ("pair", "best", "rank"):
        said = {texts.question(name, kind) for name in THREE}  # type: ignore[arg-type]
        assert len(said) == 3
        assert all(("hidden" in texts.question(name, kind)) == texts.hidden(name) for name in THREE)  # type: ignore[arg-type]
    assert texts.question("preference", "best") == "Which image is best?"
    assert texts.question("preference", "rank") == "Put the images in order, best first."
    assert texts.question("flags", "flag") == "What is wrong with these images?"


def test_a_double_post_and_a_reload_give_one_vote(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    seen = browser.get("/api/task").json()
    first, second = vote(browser, seen), vote(browser, seen)
    assert first.json() == second.json()
    assert len(votes.every(current(series))) == 1


def test_undo_gives_the_task_back_and_skip_gives_it_away(tmp_path: Path) -> None:
    series = study(tmp_path / "s", 2)
    browser = invited(client(series), series)
    one = browser.get("/api/task").json()
    two = vote(browser, one).json()
    assert two["can_undo"]
    assert post(browser, "/api/undo", key="u").json()["token"] == one["token"]
    assert post(browser, "/api/undo", key="u").json()["token"] == one["token"]
    assert standing(series) == {}
    assert vote(browser, one, 1, "again").json()["token"] == two["token"]
    seen = post(browser, "/api/skip", token=two["token"]).json()
    assert seen == {"state": "done", "progress": {"done": 1, "of": 2}, "can_undo": True}
    assert post(browser, "/api/skip", token=one["token"]).status_code == 400  # it is answered
    assert vote(browser, two).status_code == 400  # it is skipped
    assert len(standing(series)) == 1


def test_a_paused_and_a_closed_study_take_nothing_back(tmp_path: Path) -> None:
    """What was taken back could not be answered again, so the vote would be lost."""
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    vote(browser, browser.get("/api/task").json())
    for state in ("paused", "closed"):
        set_state(current(series), state)  # type: ignore[arg-type]
        seen = browser.get("/api/task").json()
        assert seen == {"state": state, "progress": {"done": 1, "of": 3}, "can_undo": False}
        assert post(browser, "/api/undo", key=state).json() == seen
        assert len(standing(series)) == 1
    set_state(current(series), "open")
    assert post(browser, "/api/undo", key="open").json()["state"] == "task"
    assert standing(series) == {}


def test_who_is_left_over_waits(tmp_path: Path) -> None:
    series = study(tmp_path / "s", 1, raters_per_item=1)
    browser = invited(client(series), series)
    seen = browser.get("/api/task").json()
    other = invited(another(browser), series, "Bo")
    assert other.get("/api/task").json()["state"] == "wait"
    vote(browser, seen)
    assert other.get("/api/task").json()["state"] == "done"


def test_between_rounds_until_the_run_is_finished(tmp_path: Path) -> None:
    (tmp_path / series_module.RUN).write_text("{}")
    study(tmp_path / "rounds/round-000" / series_module.ROUND, 1, raters_per_item=1).close()
    series = open_series(tmp_path)
    browser = invited(client(series), series)
    assert vote(browser, browser.get("/api/task").json()).json()["state"] == "between"
    set_state(current(series), "closed")
    assert browser.get("/api/task").json()["state"] == "between"
    assert browser.get("/api/task").json()["pictures"] == []
    (tmp_path / "rounds/round-000/grid.png").write_bytes(png("grid"))
    assert browser.get("/api/task").json()["pictures"] == ["/round/0.png"]
    assert browser.get("/round/0.png").content == png("grid")
    assert [browser.get(f"/round/{name}.png").status_code for name in ("1", "-1", "..%2f..%2frecipe")] == [404] * 3
    assert another(browser).get("/round/0.png").status_code == 404
    set_state(current(series), "paused")
    assert browser.get("/api/task").json()["state"] == "paused"
    (tmp_path / "summary.json").write_text("{}")
    set_state(current(series), "closed")
    assert browser.get("/api/task").json()["state"] == "closed"


def test_a_task_that_was_left_too_long_is_refused_when_others_have_it(tmp_path: Path) -> None:
    series = study(tmp_path / "s", 1, raters_per_item=1)
    browser = invited(client(series), series)
    seen = browser.get("/api/task").json()
    other = invited(another(browser), series, "Bo")
    with current(series).write() as connection:
        connection.exec_driver_sql("UPDATE assignment SET given = 0")
    assert vote(other, other.get("/api/task").json()).status_code == 200
    answer = vote(browser, seen)
    assert answer.status_code == 409
    assert "left for too long" in answer.json()["error"]


def test_another_rater_has_neither_the_task_nor_its_images(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    seen = browser.get("/api/task").json()
    assert browser.get(seen["images"][0]).status_code == 200
    assert browser.get(seen["next_images"][0]).status_code == 200
    other = invited(another(browser), series, "Bo")
    assert vote(other, seen).status_code == 404
    assert post(other, "/api/skip", token=seen["token"]).status_code == 404
    for somebody in (other, another(browser)):
        answer = somebody.get(seen["images"][0])
        assert (answer.status_code, answer.json()) == (404, {"error": texts.NO_IMAGE})


def test_tasks_are_kept_ahead_one_at_a_time(tmp_path: Path) -> None:
    series = study(tmp_path / "s", 5)
    browser = invited(client(series), series)
    for _ in range(3):
        browser.get("/api/task")
    store = current(series)
    with store.read() as connection:
        rows = connection.execute(assign.select(assign.assignment)).all()
    assert len(rows) == 2
