"""Simulated raters: which prompts, what they say, on which sides, and that all of it comes again the same."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.cli.scorers import build
from tastemaker.evaluate.prompts import STYLES
from tastemaker.reproduce import study_simulated as module
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.study_exhibit import exhibits
from tastemaker.reproduce.study_simulated import answer, categories, make, prompts, simulate, worth
from tastemaker.reproduce.world_profile import profile
from tastemaker.world.captions import caption
from tastemaker.world.captions import draw as captions_of

TEXTS = [caption(scene) for scene in captions_of("test", 60, 3)]


def test_four_categories_by_hand():
    texts = [
        "a small red circle on the left, white background",
        "a small red circle on the left, brown background",
        "a small red circle on the left and a large blue cross on the right, gray background",
        "a small red circle on the left and a large blue cross on the right, black background",
    ]
    kinds = ["one thing, light ground", "one thing, dark ground", "two things, light ground", "two things, dark ground"]
    assert list(categories(texts).values()) == kinds


def test_prompts_are_drawn_equally_of_each_category():
    named = categories(TEXTS)
    found = prompts(TEXTS, named, 16)
    assert Counter(named[text] for text in found) == dict.fromkeys(set(named.values()), 4)
    assert len(set(found)) == 16
    assert prompts(TEXTS[::-1], named, 16) != TEXTS[:16]
    assert prompts(TEXTS, named, 16) == found


def test_without_categories_all_prompts_are_alike():
    assert set(prompts(["a", "b", "b", "c"], {}, 3)) == {"a", "b", "c"}


def test_with_more_categories_than_prompts_all_are_alike():
    texts = [f"{number}" for number in range(10)]
    found = prompts(texts, {text: f"kind {text}" for text in texts}, 9)
    assert len(set(found)) == 9
    assert sorted(prompts(texts, {text: f"kind {text}" for text in texts}, 10)) == texts


def test_of_four_styles_25_each_and_none_without_a_style():
    named = {f"{style} {number}": style for style in STYLES for number in range(60)}
    found = prompts([*named, "without"], named)
    assert Counter(map(named.get, found)) == dict.fromkeys(set(named.values()), 25)


def test_fewer_prompts_than_wanted_are_still_equally_many_of_each():
    named = categories(TEXTS)
    fewest = min(Counter(named.values()).values())
    found = prompts(TEXTS, named)
    assert fewest < 25
    assert Counter(named[text] for text in found) == dict.fromkeys(set(named.values()), fewest)


def test_no_prompts():
    with pytest.raises(UserError, match="study: no test prompt of any kind"):
        prompts([], {})
    with pytest.raises(UserError, match="study: no test prompt of two things"):
        prompts(["a"], {"a": "one thing", "b": "two things"})


def said(question, scores, many=2000):
    return Counter(answer(question, scores, draw.numbers("test", number)) for number in range(many))


@pytest.mark.parametrize(
    ("question", "scores", "truth"),
    [
        ("preference", (0.50, 0.53), 1),
        ("preference", (0.53, 0.50), 0),
        ("preference", (0.50, 0.51), "tie"),
        ("alignment", (1.0, 1.0), "tie"),
        ("alignment", (0.0, 1.0), 1),
        ("appeal", (-0.90, -0.95), 0),
        ("appeal", (-0.90, -0.91), "tie"),
    ],
)
def test_the_truth_in_nine_of_ten_answers(question, scores, truth):
    """Of 2000 answers 1800 ± 13 (one standard deviation) are true."""
    found = said(question, scores)
    assert found[truth] == pytest.approx(1800, abs=55)
    if truth == "tie":
        assert found[0] == pytest.approx(100, abs=40)
    else:
        assert found["tie"] == 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Images of two models for 8 captions; the second model's are plain, the first one's noise."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tastemaker.base.files import write_json
    from tastemaker.evaluate.generating import _png

    texts = prompts(TEXTS, categories(TEXTS), 8)
    found = {}
    for model in ("DPO", "DPO-QSD"):
        place = tmp_path_factory.mktemp(model)
        rows = [(number, text, 0, _png(picture(model, number))) for number, text in enumerate(texts)]
        names = ("prompt_index", "prompt", "sample", "png")
        pq.write_table(
            pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), place / "images.parquet"
        )
        write_json(place / "settings.json", {"seed": 0})
        found[model] = place
    return found


def picture(model, number):
    numbers = draw.numbers("picture", model, number)
    noise = numbers.integers(0, 256, (32, 32, 3)) if model == "DPO" else np.full((32, 32, 3), 20 * number + 7)
    return Image.fromarray(noise.astype(np.uint8))


def test_every_person_answers_every_question_and_the_sides_are_balanced(folders, tmp_path):
    design = make(tmp_path / "study", folders, categories(TEXTS), 8)
    assert len(design.items) == 8
    assert all(item.category for item in design.items)
    values = {(question, item.id): (1.0, 0.0) for question in design.asked for item in design.items}
    votes = simulate(tmp_path / "study", values, 0)
    assert Counter(vote.question for vote in votes) == dict.fromkeys(design.asked, 5 * 8)
    assert {vote.rater for vote in votes} == {f"seed 0, simulated {person}" for person in range(5)}
    for item in design.items:
        sides = Counter(vote.shown for vote in votes if vote.item == item.id and vote.question == "preference")
        assert sorted(sides.values()) == [2, 3]
    assert Counter(vote.answer for vote in votes)[0] / len(votes) == pytest.approx(0.9, abs=0.09)


def test_the_same_votes_again_and_others_by_another_seed(folders, tmp_path):
    found = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        design = make(tmp_path / name, folders, categories(TEXTS), 8)
        values = {(question, item.id): (0.3, 0.0) for question in design.asked for item in design.items}
        votes = simulate(tmp_path / name, values, seed)
        found.append(sorted((vote.rater[-1], vote.item, vote.question, vote.answer) for vote in votes))
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_without_errors_raters_say_what_their_truths_say(folders, tmp_path, monkeypatch):
    """JPEG sizes are known: plain images are smaller than noise. Neither shows its caption: a tie of alignment."""
    monkeypatch.setattr(module, "FLIPS", 0.0)
    design = make(tmp_path / "study", folders, categories(TEXTS), 8)
    values = worth(build, tmp_path / "study", design)
    votes = simulate(tmp_path / "study", values, 0)
    for vote in votes:
        item = design.items[vote.item]
        if vote.question == "appeal":
            assert item.images[vote.answer].model == "DPO-QSD"
        if vote.question == "alignment":
            assert vote.answer == "tie"
        if vote.question == "preference":
            first, second = values["preference", item.id]
            assert vote.answer == ("tie" if abs(first - second) <= 0.02 else int(second > first))


@pytest.mark.slow
def test_a_study_that_was_killed_is_begun_again(folders, tmp_path, monkeypatch):
    """Killed when two people had voted: in the end there are the votes of five, as of one that was never stopped."""
    made = Shop(tmp_path, replace(profile(), test=lambda: TEXTS), build)
    study = next(exhibits(made.profile, lambda _: Arm("world", credit="dde")))
    for arm, model in zip(study.arms, ("DPO", "DPO-QSD"), strict=True):
        shutil.copytree(folders[model], made.place(arm, 0) / "images")
    stage = study.asked(made, 0)
    monkeypatch.setattr(module, "RATERS", 2)
    monkeypatch.setattr("tastemaker.reproduce.study_exhibit.write_json", _stop)
    with pytest.raises(KeyboardInterrupt):
        stage.do()
    assert not stage.done
    monkeypatch.undo()
    stage.do()
    killed = said_by(stage.out)
    assert len(killed) == 5 * 3 * 8
    assert "8 pairs (the paper: 100), 120 votes of 5 simulated" in study.write(Results(made), tmp_path)
    stage.out.unlink()
    stage.do()
    assert said_by(stage.out) == killed


def _stop(*_):
    raise KeyboardInterrupt


def said_by(out):
    return sorted((row["rater"], row["item"], row["question"], str(row["answer"])) for row in read_json(out))
