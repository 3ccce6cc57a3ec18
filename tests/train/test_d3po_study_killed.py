"""Rounds that people judge in a browser, where the run, the server or both are killed or stopped."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from study.web.process import running
from support import voters
from support.d3po import lines, run
from support.ranks import codes, start_ranks
from support.study_runs import same_run, small_tree, start, tell_of_the_pause, whole_run
from support.voters import SKIPPED, people, worth
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.rollout import asking, rounds
from tastemaker.study.client import Client
from tastemaker.study.series import open_series
from tastemaker.train import patience

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return small_tree(tmp_path_factory.mktemp("d3po"))


@pytest.fixture(scope="module")
def whole(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tree, tmp_path_factory.mktemp("runs") / "whole")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _in_a_half_made_study() -> None:
    """The images of the first study are copied, its design is not written."""
    asking.designs.write = lambda *_: _die()


def _while_waiting() -> None:
    patience._pause = lambda *_: _die()


def _between_closing_and_reading() -> None:
    asking.Asked._read = lambda *_: _die()  # type: ignore[method-assign, assignment]


def _before_the_choices_are_written() -> None:
    rounds.write = lambda *_, **__: _die()


def _before_the_summary() -> None:
    """The choices are written down, and nothing says that they are whole."""
    rounds.figures = lambda *_: _die()  # type: ignore[assignment, return-value]


EARLY = {"in a half made study": _in_a_half_made_study, "while waiting": _while_waiting}
LATE = {
    "between closing and reading": _between_closing_and_reading,
    "before the choices are written": _before_the_choices_are_written,
    "before the summary": _before_the_summary,
}
MOMENTS = EARLY | LATE


def answer_the_round(out: Path) -> None:
    """One person does what there is to do now."""
    with closing(open_series(out)) as series:
        store = series.current()
        assert store is not None
        voters.vote(store, voters.joined(store, 1)[0], voters.better)


def until(there: Path, child: Any) -> None:
    while not there.exists():
        assert child.exitcode is None
        time.sleep(0.05)


def killed(tree: dict[str, Any], out: Path, moment: str) -> bool:
    child = start(tree, out, MOMENTS[moment])
    child.join(120)
    code = child.exitcode
    child.kill()
    return bool(code == -signal.SIGKILL)


def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bits(
    tree: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    """In every moment of both rounds, one after the other; people begin when nobody waits for them."""
    out = tmp_path / "run"
    for number in range(2):
        assert [killed(tree, out, moment) for moment in EARLY] == [True] * 2
        assert not (rounds.path_of(out, number) / rounds.CHOICES).exists()
        with people(out):
            assert [killed(tree, out, moment) for moment in LATE] == [True] * 3
    assert run(tree, out)["steps"] == 4
    assert same_run(whole, out)


def test_a_signal_ends_the_waiting_at_once_with_the_state_saved(
    tree: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    """With a minute between two looks, in the second round."""
    out = tmp_path / "run"
    run(tree, out, feedback={"wait": False})
    answer_the_round(out)
    slow = tree | {"feedback": tree["feedback"] | {"poll_seconds": 60}}
    child = start(slow, out)
    until(out.with_suffix(".waits"), child)
    os.kill(child.pid, signal.SIGTERM)
    began = time.monotonic()
    child.join(60)
    assert child.exitcode == 128 + signal.SIGTERM
    assert time.monotonic() - began < 10
    with people(out):
        assert run(tree, out)["steps"] == 4
    assert same_run(whole, out)


def _run(tree: dict[str, Any], out: Path, _: dict[str, Any]) -> None:
    tell_of_the_pause(out)
    run(tree, out)


def test_several_ranks_wait_together_and_a_signal_to_one_stops_all(
    tree: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    out, first = tmp_path / "run", rounds.path_of(tmp_path / "run", 0)
    shared = tree | {"rollout": tree["rollout"] | {"prompts_at_once": 1}}
    ranks = start_ranks(shared, out, work=_run)
    until(out.with_suffix(".waits"), ranks[1])
    os.kill(ranks[1].pid, signal.SIGTERM)
    assert codes(ranks) == [128 + signal.SIGTERM] * 2
    with people(out):
        assert codes(start_ranks(shared, out, work=_run)) == [0, 0]
    assert files.sha256_file(first / rounds.CHOICES) == files.sha256_file(rounds.path_of(whole, 0) / rounds.CHOICES)
    assert [line["step"] for line in lines(out)] == [line["step"] for line in lines(whole)]


def sha_of(seen: bytes) -> str:
    """The hash of the image as the run stored it: what people see has the very same pixels."""
    with Image.open(io.BytesIO(seen)) as picture, io.BytesIO() as file:
        picture.convert("RGB").save(file, format="png")
        return files.sha256_bytes(file.getvalue())


def click(client: Client) -> None:
    """One task, if there is one, as `voters.better` would do it."""
    view = client.task()
    if view.state != "task":
        return
    shas = [sha_of(client.image(address)) for address in view.images]
    if any(sha.startswith(SKIPPED) for sha in shas):
        client.skip(view.token)
        return
    a, b = map(worth, shas)
    client.vote(view.token, {"preference": "tie" if a == b else int(b > a)}, 2.0)


@contextmanager
def clicking(url: str) -> Iterator[None]:
    """Somebody at the pages, who bears that the server goes away and that a round is closed under their hands."""
    end = threading.Event()

    def work() -> None:
        client = Client(url, patience=120)
        client.join("/join", "Ada", "passphrase")
        while not end.wait(0.3):
            try:
                click(client)
            except UserError:
                continue
        client.close()

    person = threading.Thread(target=work)
    person.start()
    try:
        yield
    finally:
        end.set()
        person.join(60)


def test_run_and_server_are_killed_in_turns_and_nothing_is_lost(
    tree: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    """Over HTTP with the real server, both killed while people click; the run ends in the bits of one left alone."""
    out, kills = tmp_path / "run", 0
    child = start(tree, out)
    until(out / "recipe.yaml", child)
    with running(out, passphrase="passphrase") as server, clicking(server.url):
        while kills < 6:
            time.sleep(1.5)
            server.stop(signal.SIGKILL)
            server.start()
            time.sleep(1.0)
            if child.exitcode is not None:  # done, by itself
                break
            kills += 1
            child.kill()
            child.join()
            child = start(tree, out)
        child.join(200)
    assert child.exitcode == 0
    assert kills >= 2
    assert same_run(whole, out)
