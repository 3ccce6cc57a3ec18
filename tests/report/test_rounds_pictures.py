"""Pictures of an online run: which prompt and rounds are shown, net wins, and what is marked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support.rounds_example import CHOICES, paint, strips, write_online
from tastemaker.report import rounds
from tastemaker.report.page import Picture
from tastemaker.rollout.choices import Choice
from tastemaker.rollout.stream import net_wins


def test_net_wins_and_marks_by_hand(run: Path) -> None:
    """Prompt 1 is the most decided; its samples in the order 1, 2, 0 have +2, 0 and −2."""
    found = strips(run)
    assert [strip.prompt for strip in found] == ["round 0: a blue square", "round 1: a blue square"]
    for strip in found:
        assert [(picture.label, picture.mark) for picture in strip.pictures] == [
            ("+2", "good"),
            ("0", ""),
            ("-2", "bad"),
        ]
    assert [picture.alt[:8] for picture in found[0].pictures] == ["Sample 1", "Sample 2", "Sample 0"]
    assert all(expected(1, 1, sample) == found[1].pictures[at].source for at, sample in enumerate((1, 2, 0)))


def expected(number: int, prompt: int, sample: int) -> str:
    from tastemaker.data.images import decode
    from tastemaker.report.gallery import picture

    return picture(decode(paint(number, prompt, sample)), alt="", label="").source


def test_swapping_a_pair_changes_no_net_win() -> None:
    choices = [Choice(*row) for row in CHOICES if row[0] == 1]  # type: ignore[arg-type]
    turned = [Choice(c.prompt, c.b, c.a, {"a": "b", "b": "a"}.get(c.label, "tie")) for c in choices]  # type: ignore[arg-type]
    assert net_wins(choices) == net_wins(turned) == {1: {1: 2, 2: 0, 0: -2}}


def test_the_most_decided_prompt() -> None:
    """The first of equals; ties decide nothing; prompt 0 where nothing was decided."""
    tie, decided = Choice(4, 0, 1, "tie"), [Choice(3, 0, 1, "a"), Choice(2, 0, 1, "b")]
    assert rounds.most_decided([tie, tie, *decided]) == 2
    assert rounds.most_decided([tie, *decided, Choice(3, 0, 2, "a")]) == 3
    assert rounds.most_decided([tie]) == rounds.most_decided([]) == 0


def test_rounds_are_chosen_evenly_with_both_ends() -> None:
    assert rounds.evenly(range(3), 6) == [0, 1, 2]
    assert rounds.evenly(range(11), 6) == [0, 2, 4, 6, 8, 10]
    assert rounds.evenly(range(10), 6) == [0, 2, 4, 5, 7, 9]


def test_of_many_images_the_best_and_the_worst_are_shown(tmp_path: Path) -> None:
    pictures = strips(write_online(tmp_path / "run", samples=12))[0].pictures
    assert len(pictures) == rounds.ACROSS
    assert [picture.mark for picture in (pictures[0], pictures[-1])] == ["good", "bad"]


def undecided(run: Path, labels: str) -> list[Picture]:
    """The pictures of a round whose three comparisons of prompt 0 have these labels."""
    pairs = ((0, 1), (0, 2), (1, 2))
    rows = [
        {"prompt": 0, "a": a, "b": b, "label": {"t": "tie"}.get(label, label)}
        for (a, b), label in zip(pairs, labels, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), run / "rounds/round-000/choices.parquet")
    return list(rounds.strip(run, 0).pictures)


def test_nothing_is_marked_where_all_are_equal(tmp_path: Path) -> None:
    """Ties alone, and a circle: 0 beats 1, 1 beats 2, 2 beats 0. Of two best, both are marked."""
    run = write_online(tmp_path / "run", rounds=1)
    for labels in ("ttt", "aba"):
        assert [(picture.label, picture.mark) for picture in undecided(run, labels)] == [("0", "")] * 3
    assert [picture.mark for picture in undecided(run, "taa")] == ["good", "good", "bad"]
