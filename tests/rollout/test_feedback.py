"""Sources of feedback: what they say of a round."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from tastemaker.rollout.choices import Choice
from tastemaker.rollout.feedback import Feedback, People, Round, Scored, Simulated


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, format="png")
    return buffer.getvalue()


def a_round(folder: Path = Path(), rewards: dict[str, list[list[float]]] | None = None, **named) -> Round:
    pngs = [[png(10 * p + s) for s in range(3)] for p in range(2)]
    scores = {spec: np.array(raw) for spec, raw in (rewards or {}).items()}
    settings = {"folder": folder, "number": 0, "seed": 0, "prompts": ["one", "two"], "pngs": pngs, "rewards": scores}
    return Round(**settings | named)


ONE = {"s": [[1.0, 2.0, 2.0], [0.5, 0.4, 0.0]]}


def test_a_scorer_prefers_the_higher_score():
    assert Scored(scorers=("s",)).choices(a_round(rewards=ONE)) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 0, 2, "b"),
        Choice(0, 1, 2, "tie"),
        Choice(1, 0, 1, "a"),
        Choice(1, 0, 2, "a"),
        Choice(1, 1, 2, "a"),
    ]


def test_a_small_difference_is_a_tie():
    labels = [choice.label for choice in Scored(scorers=("s",), tie=0.3).choices(a_round(rewards=ONE))]
    assert labels == ["b", "b", "tie", "tie", "a", "a"]


def test_of_several_scorers_a_better_image_is_worse_for_none():
    """Dominance: image 1 beats 0 on both; 2 beats 0 on one and ties; 1 and 2 are of two minds."""
    both = {"s": [[0, 1, 0], [0, 0, 0]], "t": [[0, 1, 2], [0, 0, 0]]}
    found = Scored(scorers=("s", "t")).choices(a_round(rewards=both))
    assert [choice.label for choice in found] == ["b", "b", "tie", "tie", "tie", "tie"]


def test_equal_images_are_not_asked_about():
    same = a_round(rewards=ONE, pngs=[[png(1), png(1), png(2)], [png(3)] * 3])
    assert [choice[:3] for choice in Scored(scorers=("s",)).choices(same)] == [(0, 0, 2), (0, 1, 2)]


def test_a_simulated_person_is_right_as_often_as_bradley_and_terry_say():
    """Difference τ: σ(1) = 0.731 before mistakes, 0.2 + 0.6 · 0.731 = 0.639 with a fifth turned round."""
    raw = {"s": [[0.0, 0.1]] * 1500}
    pngs = [[png(0), png(1)]] * 1500
    for flips, share in ((0.0, 0.731), (0.2, 0.639), (1.0, 0.269)):
        judge = Simulated(scorer="s", temperature=0.1, flips=flips)
        found = judge.choices(a_round(rewards=raw, pngs=pngs, prompts=["a"] * 1500))
        assert np.mean([choice.label == "b" for choice in found]) == pytest.approx(share, abs=0.035)


def test_a_simulated_person_says_the_same_again_and_something_else_in_another_round():
    raw, pngs = {"s": [[0.0, 0.05]] * 40}, [[png(0), png(1)]] * 40
    judge = Simulated(scorer="s")
    first, again, later = (
        judge.choices(a_round(rewards=raw, pngs=pngs, prompts=["a"] * 40, number=number)) for number in (0, 0, 1)
    )
    assert first == again != later


def test_people_find_pictures_and_a_table_and_their_answers_are_read(tmp_path):
    asked = a_round(tmp_path)
    answer = People().choices(asked)
    assert isinstance(answer, str)
    assert "choices.csv" in answer
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert pictures == ["00000-0.png", "00000-1.png", "00000-2.png", "00001-0.png", "00001-1.png", "00001-2.png"]
    assert (tmp_path / "pictures" / "00001-2.png").read_bytes() == asked.pngs[1][2]
    table = (tmp_path / "choices.csv").read_text().splitlines()
    filled = [table[0], *(line + "a" if line.endswith(",") else line for line in table[1:])]
    (tmp_path / "choices.csv").write_text("\n".join(filled) + "\n")
    found = People().choices(asked)
    assert found == [Choice(p, a, b, "a") for p in range(2) for a, b in ((0, 1), (0, 2), (1, 2))]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"kind": "scorer", "scorers": []}, "at least 1"),
        ({"kind": "scorer"}, "required"),
        ({"kind": "simulated", "scorer": "s", "temperature": 0}, "greater than 0"),
        ({"kind": "simulated", "scorer": "s", "flips": 1.1}, "less than or equal to 1"),
        ({"kind": "vote"}, "'file'"),
        ({"kind": "file", "path": "x"}, "Extra inputs"),
    ],
)
def test_settings_without_meaning_are_refused(given, word):
    with pytest.raises(ValidationError, match=word):
        TypeAdapter(Feedback).validate_python(given)
