"""Rounds that people judge in a browser: the run waits, trains on what they said, and bears being killed anywhere."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support import voters
from support.d3po import lines, recipe_of, run
from support.study_runs import same_run, small_tree, whole_run
from support.voters import SKIPPED, people, worth
from tastemaker.base import yaml12
from tastemaker.base.errors import UserError
from tastemaker.cli.app import main
from tastemaker.data.store import read_comparisons
from tastemaker.evaluate.journal import read_table
from tastemaker.rollout import asking, rounds
from tastemaker.study.db import state_of
from tastemaker.study.series import open_series
from tastemaker.study.votes import status
from tastemaker.train.plan import plan


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return small_tree(tmp_path_factory.mktemp("d3po"))


@pytest.fixture(scope="module")
def whole(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tree, tmp_path_factory.mktemp("runs") / "whole")


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
