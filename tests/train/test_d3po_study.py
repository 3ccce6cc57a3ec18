"""Rounds that people judge in a browser: the run waits, trains on what they said, and bears being killed anywhere."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from support import voters
from support.d3po import lines, make_tree, recipe_of, run
from support.ranks import codes, start_ranks
from support.training import PRELOADED
from support.voters import SKIPPED, people, worth
from tastemaker.base import files, yaml12
from tastemaker.base.errors import Interrupted, UserError
from tastemaker.cli.app import main
from tastemaker.data.store import read_comparisons
from tastemaker.evaluate.journal import read_table
from tastemaker.rollout import asking, rounds
from tastemaker.study.db import state_of
from tastemaker.study.series import open_series
from tastemaker.study.votes import status
from tastemaker.train import patience
from tastemaker.train.plan import plan

WEIGHTS = "pytorch_lora_weights.safetensors"
POLL = 0.2


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two rounds of two prompts with three images each: at most six pairs a round."""
    tree = make_tree(tmp_path_factory.mktemp("d3po"))
    small = {"rounds": {"count": 2, "prompts": 2, "updates": 2, "steps_at_once": 2, "watch": ["jpeg-size"]}}
    return tree | small | {"feedback": {"kind": "study", "poll_seconds": POLL}}


@pytest.fixture(scope="module")
def whole(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was not stopped, with one person who answered all of it."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with people(out):
        assert run(tree, out)["steps"] == 4
    return out


def label_of(a: str, b: str) -> str | None:
    """What `voters.better` says of two images."""
    if a.startswith(SKIPPED) or b.startswith(SKIPPED):
        return None
    return "tie" if worth(a) == worth(b) else "a" if worth(a) > worth(b) else "b"


def test_the_run_waits_for_people_and_learns_what_they_say(whole: Path) -> None:
    """Each label is worked out from the images that were drawn; who is skipped has none."""
    for number in range(2):
        folder = rounds.path_of(whole, number)
        rows = read_table(folder / rounds.ROLLOUTS).to_pylist()
        sha = {(row["prompt_index"], row["sample"]): row["sha"] for row in rows}
        pairs = [(p, a, b) for p in range(2) for a, b in ((0, 1), (0, 2), (1, 2))]
        expected = {(p, a, b): label_of(sha[p, a], sha[p, b]) for p, a, b in pairs}
        found = {choice[:3]: choice.label for choice in rounds.read_choices(folder)}
        assert found == {pair: label for pair, label in expected.items() if label}
        assert {"a", "b"} & set(found.values())
        assert {one.judge for one in read_comparisons(folder)} == {"study"}
    begun = [line for line in lines(whole) if "round" in line]
    assert [(line["step"], line["comparisons"]) for line in begun] == [
        (2 * number, len(rounds.read_choices(rounds.path_of(whole, number)))) for number in range(2)
    ]


def test_each_round_is_a_study_that_is_closed_when_it_is_trained_on(whole: Path) -> None:
    with closing(open_series(whole)) as series:
        assert [state_of(store) for store in series.stores()] == ["closed", "closed"]
        assert [status(store).raters for store in series.stores()] == [1, 1]


def test_the_card_says_who_was_asked_what(whole: Path) -> None:
    card = (whole / "README.md").read_text()
    (line,) = [line for line in card.splitlines() if line.startswith("- which of them are better was said by: ")]
    assert line.endswith(
        "kind study, task pair, raters 1, title Which images are better?, minutes 30, rules {'evidence': 3}"
    )


def test_images_are_scored_once_however_long_people_take(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, scored = [], []
    whole_look, whole_scores = asking.Asked.choices, rounds.rewards

    def look(self: Any, round: Any) -> Any:
        looks.append(round.number)
        if len(looks) == 4:
            crowd.__enter__()
        return whole_look(self, round)

    monkeypatch.setattr(asking.Asked, "choices", look)
    monkeypatch.setattr(rounds, "rewards", lambda *given: scored.append(1) or whole_scores(*given))
    crowd = people(tmp_path / "run")
    try:
        run(tree, tmp_path / "run")
    finally:
        crowd.__exit__(None, None, None)
    assert len(looks) > 4
    assert len(scored) == 2


def test_without_waiting_it_says_how_far_people_are_and_may_wait_the_next_time(
    tree: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    told = run(tree, out, feedback={"wait": False})
    assert told["steps"] == 0
    assert told["waiting"].startswith(f"{rounds.path_of(out, 0)}: 0 of ")
    assert told["waiting"].endswith(
        f"tasks have their answers; `tastemaker study serve {out}` is where people answer; "
        "run the same command again when they are done"
    )
    with people(out):
        assert run(tree, out, feedback={"wait": True, "poll_seconds": 0.1})["steps"] == 4
    assert same_run(whole, out)


def same_run(one: Path, other: Path) -> bool:
    names = [WEIGHTS, "metrics.jsonl"]
    names += [f"rounds/round-00{n}/{name}" for n in range(2) for name in (rounds.CHOICES, rounds.ROLLOUTS)]
    return [files.sha256_file(one / name) for name in names] == [files.sha256_file(other / name) for name in names]


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


def _tell_of_the_pause(out: Path) -> None:
    """A file beside the run says that it waits."""
    whole = patience._pause

    def pause(*given: Any) -> None:
        out.with_suffix(".waits").touch()
        whole(*given)

    patience._pause = pause


def _child(tree: dict[str, Any], out: str, moment: str) -> None:
    torch.set_num_threads(1)
    _tell_of_the_pause(Path(out))
    MOMENTS.get(moment, lambda: None)()
    try:
        run(tree, Path(out))
    except Interrupted as stop:
        sys.exit(128 + stop.signum)


def start(tree: dict[str, Any], out: Path, moment: str) -> Any:
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    child = context.Process(target=_child, args=(tree, str(out), moment), daemon=True)
    child.start()
    return child


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
    child = start(tree, out, moment)
    child.join(120)
    code = child.exitcode
    child.kill()
    return bool(code == -signal.SIGKILL)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_signal_ends_the_waiting_at_once_with_the_state_saved(
    tree: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    """With a minute between two looks, in the second round."""
    out = tmp_path / "run"
    run(tree, out, feedback={"wait": False})
    answer_the_round(out)
    slow = tree | {"feedback": tree["feedback"] | {"poll_seconds": 60}}
    child = start(slow, out, "none")
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
    _tell_of_the_pause(out)
    run(tree, out)


@pytest.mark.slow
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


def test_two_people_a_pair_who_disagree_teach_nothing(tree: dict[str, Any], tmp_path: Path) -> None:
    """The second always says the contrary, so that every pair is a tie and the run says so."""

    def contrary(item: Any) -> Any:
        answer = voters.better(item)
        return answer if answer in (None, "tie") else 1 - answer

    out = tmp_path / "run"
    feedback = {"raters": 2}
    with (
        people(out),
        people(out, contrary),
        pytest.raises(UserError, match=r"none of \d+ comparisons was decided, so there is nothing to learn"),
    ):
        run(tree, out, feedback=feedback)
    assert {choice.label for choice in rounds.read_choices(rounds.path_of(out, 0))} == {"tie"}


def test_check_says_what_people_will_be_asked(tree: dict[str, Any], tmp_path: Path) -> None:
    found = plan(recipe_of(tree, tmp_path / "run", feedback={"raters": 3, "repeats": 0.5}))
    assert found["missing"] == []
    said = {name: found["pairs"][name] for name in list(found["pairs"])[2:6]}
    assert said == {
        "tasks a round": 9,
        "people a task": 3,
        "choices a round, at most": 6,
        "tasks in all": 18,
    }


def test_a_missing_library_is_told_before_anything_is_drawn(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"needs sqlalchemy, which is not installed; .* 'tastemaker\[study\]'"):
        run(tree, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_task_is_one_line_and_exit_code_2(
    tree: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml12.dump(tree | {"out": str(tmp_path / "run")}))
    for field, value, said in (
        ("task", "vote", "feedback.task: 'vote' is unknown; known: pair, best, rank, flag"),
        ("task", "flag", "flags: [] with tasks of kind flag; name at least one, as in [hands, unsafe]"),
        ("flags", "[hands]", "flags: ['hands'] with tasks of kind pair; leave them out"),
    ):
        assert main(["d3po", str(tmp_path / "recipe.yaml"), f"--feedback.{field}", value]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(said)
    assert not (tmp_path / "run").exists()
