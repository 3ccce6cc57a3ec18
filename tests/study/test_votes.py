"""From positions on a screen to canonical answers; each vote once, and never lost once it was answered."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from study.studies import BIN, design, item, joined, opened, postgresql
from tastemaker.base.errors import UserError
from tastemaker.study.assign import Given, Unknown, next_task
from tastemaker.study.db import Store, assignment
from tastemaker.study.raters import rater_of
from tastemaker.study.votes import Progress, every, progress, skip, status, take, undo

ORDER = "[2, 0, 1]"
"""Image 2 stands first, then 0, then 1."""


def begun(folder: Path, kind: str = "pair", images: int = 2, **more: Any) -> tuple[Store, str, Given]:
    store = opened(folder, design([item(0, kind, images)], **more))
    (rater,) = joined(store, 1)
    given = next_task(store, rater, 0.0)
    assert isinstance(given, Given)
    return store, rater, given


@pytest.mark.parametrize(
    ("kind", "flags", "said", "kept"),
    [
        ("best", (), 0, 2),
        ("rank", (), [1, 2, 0], (0, 1, 2)),
        ("flag", ("x", "y"), [[1, "y"], [0, "x"], [1, "y"]], ((0, "y"), (2, "x"))),
        ("flag", ("x",), [], ()),
    ],
)
def test_answers_are_kept_by_image_and_not_by_position(
    tmp_path: Path, kind: str, flags: tuple[str, ...], said: Any, kept: Any
) -> None:
    store, rater, given = begun(tmp_path, kind, 3, flags=flags)
    with store.write() as connection:
        connection.execute(update(assignment).values(shown=ORDER))
    assert take(store, rater, given.token, {store.design.asked[0]: said}, 2.5, "k", 7.0) == ()
    (vote,) = every(store)
    assert (vote.answer, vote.shown, vote.seconds, vote.at, vote.revision) == (kept, (2, 0, 1), 2.5, 7.0, 0)


def test_of_a_pair_the_left_image_is_the_one_shown_first_and_a_tie_has_no_side(tmp_path: Path) -> None:
    for place, (said, kept) in enumerate([(0, 1), (1, 0), ("tie", "tie")]):
        store, rater, given = begun(tmp_path / str(place))
        with store.write() as connection:
            connection.execute(update(assignment).values(shown="[1, 0]"))
        take(store, rater, given.token, {"preference": said}, 1.0, "k", 0.0)
        assert [vote.answer for vote in every(store)] == [kept]


@pytest.mark.parametrize(
    ("kind", "said", "message"),
    [
        ("pair", 2, "2 is no image from 0 to 1"),
        ("pair", True, "True is no image"),
        ("pair", -1, "-1 is no image"),
        ("pair", None, "None is no image"),
        ("best", "tie", "'tie' is no image"),
        ("rank", [0, 0], "does not rank"),
        ("rank", [0], "does not rank"),
        ("flag", [[0, "z"]], "'z' is no flag; it is one of x"),
        ("flag", [[2, "x"]], "is no list of"),
        ("flag", "x", "is no list of"),
        ("pair", {"a": [1]}, "is no image"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_and_nothing_is_kept(
    tmp_path: Path, kind: str, said: Any, message: str
) -> None:
    store, rater, given = begun(tmp_path, kind, flags=("x",) if kind == "flag" else ())
    with pytest.raises(UserError, match=message):
        take(store, rater, given.token, {store.design.asked[0]: said}, 1.0, "k", 0.0)
    assert every(store) == []


def test_questions_are_those_of_the_design_and_all_or_none_is_kept(tmp_path: Path) -> None:
    store, rater, given = begun(tmp_path, questions=("preference", "appeal"))
    with pytest.raises(UserError, match="'taste' is not asked; it is one of preference, appeal"):
        take(store, rater, given.token, {"preference": 0, "taste": 0}, 1.0, "k", 0.0)
    assert every(store) == []
    assert take(store, rater, given.token, {"appeal": 0}, 1.0, "k", 0.0) == ("preference",)
    assert progress(store, rater) == Progress(0, 1)
    assert take(store, rater, given.token, {"preference": 0}, 1.0, "k", 0.0) == ()
    assert progress(store, rater) == Progress(1, 1)
    assert (status(store).votes, status(store).complete, status(store).raters) == (2, 0, 1)


@pytest.mark.parametrize(("key", "seconds"), [("", 1.0), ("k" * 65, 1.0), ("k", -1.0), ("k", float("nan"))])
def test_keys_and_seconds_are_checked(tmp_path: Path, key: str, seconds: float) -> None:
    store, rater, given = begun(tmp_path)
    with pytest.raises(UserError, match="load the page again"):
        take(store, rater, given.token, {"preference": 0}, seconds, key, 0.0)


def test_nobody_answers_with_the_token_of_another(tmp_path: Path) -> None:
    store, _, given = begun(tmp_path)
    (other,) = joined(store, 1)
    with pytest.raises(Unknown, match="no such task of yours"):
        take(store, other, given.token, {"preference": 0}, 1.0, "k", 0.0)
    with pytest.raises(Unknown):
        skip(store, other, given.token, 0.0)


def test_a_change_adds_a_revision_and_an_old_post_that_comes_late_changes_nothing(tmp_path: Path) -> None:
    """Posted: 0 (key a), 0 again in another tab (key b), 1 (key c), and a delayed copy of the first."""
    store, rater, given = begun(tmp_path)
    for said, key in [(0, "a"), (0, "b"), (1, "c"), (0, "a")]:
        take(store, rater, given.token, {"preference": said}, 1.0, key, 0.0)
    assert [(vote.revision, vote.answer) for vote in every(store)] == [(0, given.shown[0]), (1, given.shown[1])]


def test_minds_may_change_more_than_once(tmp_path: Path) -> None:
    store, rater, given = begun(tmp_path)
    for key, said in enumerate([0, 1, 0]):
        take(store, rater, given.token, {"preference": said}, 1.0, str(key), 0.0)
    assert [(vote.revision, vote.answer) for vote in every(store)] == [
        (revision, given.shown[said]) for revision, said in enumerate([0, 1, 0])
    ]


def test_a_key_counts_for_each_question_by_itself(tmp_path: Path) -> None:
    """Key a comes again with one question more: only that one is new, the other was changed by key b since."""
    store, rater, given = begun(tmp_path, questions=("preference", "appeal"))
    take(store, rater, given.token, {"preference": 0}, 1.0, "a", 0.0)
    take(store, rater, given.token, {"preference": 1}, 1.0, "b", 0.0)
    take(store, rater, given.token, {"preference": 0, "appeal": 0}, 1.0, "a", 0.0)
    assert [(vote.question, vote.answer) for vote in every(store)] == [
        ("preference", given.shown[0]),
        ("preference", given.shown[1]),
        ("appeal", given.shown[0]),
    ]


def test_undo_takes_back_the_last_task_once_a_key_and_further_with_the_next(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(n) for n in range(3)]))
    (rater,) = joined(store, 1)
    assert undo(store, rater, "u0", 0.0) is None
    done = []
    for _ in range(2):
        given = next_task(store, rater, 0.0)
        assert isinstance(given, Given)
        take(store, rater, given.token, {"preference": 0}, 1.0, given.token, 0.0)
        done.append(given)
    assert [undo(store, rater, key, 0.0) for key in ("u1", "u1", "u2")] == [done[1], done[1], done[0]]
    assert progress(store, rater).done == 0
    assert [vote.answer is None for vote in every(store)] == [False, False, True, True]
    take(store, rater, done[0].token, {"preference": 0}, 1.0, done[0].token, 0.0)  # a copy of the first post
    assert progress(store, rater).done == 0


def test_skipping_takes_half_an_answer_back_and_what_is_answered_is_not_skipped(tmp_path: Path) -> None:
    store, rater, given = begun(tmp_path / "half", questions=("preference", "appeal"))
    take(store, rater, given.token, {"appeal": 0}, 1.0, "k", 0.0)
    skip(store, rater, given.token, 0.0)
    assert [vote.answer for vote in every(store)] == [given.shown[0], None]
    with pytest.raises(UserError, match="was skipped"):
        take(store, rater, given.token, {"preference": 0}, 1.0, "l", 0.0)
    store, rater, given = begun(tmp_path / "whole")
    take(store, rater, given.token, {"preference": 0}, 1.0, "k", 0.0)
    with pytest.raises(UserError, match="undo the answer to skip it"):
        skip(store, rater, given.token, 0.0)


def post_at_once(store: Store, rater: str, given: Given) -> None:
    """Eight copies of two posts (two tabs) at the same time: one vote a question."""
    said = {"preference": 0, "appeal": "tie"}
    with ThreadPoolExecutor(8) as pool:
        tabs = list(pool.map(lambda n: take(store, rater, given.token, said, 1.0, f"tab {n % 2}", 0.0), range(16)))
    assert tabs == [()] * 16
    assert sorted((vote.question, vote.revision) for vote in every(store)) == [("appeal", 0), ("preference", 0)]


def test_double_posts_at_the_same_time_give_one_vote(tmp_path: Path) -> None:
    post_at_once(*begun(tmp_path, questions=("preference", "appeal")))


ANSWERING = """
import sys, time
from pathlib import Path
from tastemaker.study.db import open_study
from tastemaker.study.raters import invite, join
from tastemaker.study.assign import next_task
from tastemaker.study.votes import take
store = open_study(Path(sys.argv[1]), sys.argv[2])
token = invite(store)
rater = join(store, "a", token, 0.0)
given = next_task(store, rater, 0.0)
take(store, rater, given.token, {"preference": 0}, 1.0, "k", 0.0)
print(token, flush=True)
time.sleep(60)
"""


def killed(folder: Path, url: str = "") -> None:
    """A process that is killed as soon as it has answered leaves its vote."""
    store = opened(folder, design([item(0)]), url)
    words = [sys.executable, "-c", ANSWERING, str(folder), url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        token = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    (vote,) = every(store)
    assert rater_of(store, token) == vote.rater
    store.close()


def test_a_vote_that_was_answered_survives_sigkill(tmp_path: Path) -> None:
    killed(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_all_this_on_postgresql(tmp_path: Path) -> None:
    with postgresql() as url:
        killed(tmp_path / "one", url)
    with postgresql() as url:
        study = design([item(0)], questions=("preference", "appeal"))
        store = opened(tmp_path / "two", study, url)
        (rater,) = joined(store, 1)
        given = next_task(store, rater, 0.0)
        assert isinstance(given, Given)
        post_at_once(store, rater, given)
        store.close()
