"""Numbers for shas: against Arrow's own look-up and a dictionary, with and without the shortcut."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.rank import texts
from tastemaker.rank.codes import RawScores, code, occurrence, scored_images
from tastemaker.rank.texts import encoded, place
from tastemaker.score.scores import Scores

SHAS = [sha256(str(number).encode()).hexdigest() for number in range(60)]


@pytest.fixture
def shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of the million, for a handful."""
    monkeypatch.setattr(texts, "CHUNK", 7)


@pytest.fixture
def only_the_shortcut(shortcut: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> np.ndarray:
        raise AssertionError("texts were looked up as texts")

    monkeypatch.setattr(texts, "_by_text", fail)


def chunked(*parts: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(part, pa.string()) for part in parts], pa.string())


@pytest.mark.usefixtures("only_the_shortcut")
def test_places_are_those_of_a_dictionary() -> None:
    known = SHAS[:40]
    asked = [SHAS[i] for i in np.random.default_rng(0).integers(0, 60, 200)]
    where = {text: number for number, text in enumerate(known)}
    found = place(chunked(asked[:30], asked[30:]).slice(3), pa.array(["x" * 64, *known]).slice(1))
    assert found.tolist() == [where.get(text, -1) for text in asked[3:]]


@pytest.mark.usefixtures("shortcut")
def test_texts_that_share_a_number_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_mixed", lambda words: np.full(len(words), 5, np.uint64))
    assert place(pa.array(SHAS[::-1]), pa.array(SHAS)).tolist() == list(range(60))[::-1]


@pytest.mark.usefixtures("shortcut")
@pytest.mark.parametrize("odd", [[None, "a"], ["short", SHAS[3]], [SHAS[3] + "x"]])
def test_nulls_and_texts_of_another_length(odd: list[str | None]) -> None:
    assert place(pa.array(odd, pa.string()), pa.array(SHAS)).tolist() == [3 if text == SHAS[3] else -1 for text in odd]
    assert place(pa.array(SHAS[:2]), pa.array([*SHAS[1:20], "odd"])).tolist() == [-1, 0]


@pytest.mark.usefixtures("only_the_shortcut")
def test_every_bit_of_a_text_counts() -> None:
    """Texts that differ in one letter, at each of the 64 places."""
    one = "0" * 64
    others = [one[:at] + "1" + one[at + 1 :] for at in range(64)]
    assert place(pa.array([*others, one]), pa.array([one, *others])).tolist() == [*range(1, 65), 0]


def test_known_texts_come_first_and_new_ones_by_appearance() -> None:
    codes, known = encoded(chunked(["b", "x"], [None, "y", "x"]), pa.array(["a", "b"]))
    assert (codes.tolist(), known.to_pylist()) == ([1, 2, -1, 3, 2], ["a", "b", "x", "y"])
    codes, known = encoded(chunked(["b", None, "a", "b"]))
    assert (codes.tolist(), known.to_pylist()) == ([0, -1, 1, 0], ["b", "a"])
    assert encoded(chunked())[0].tolist() == []


@pytest.mark.parametrize("prompts", [1, 4])
@pytest.mark.parametrize("known", [True, False])
def test_scores_are_those_of_a_dictionary(prompts: int, known: bool) -> None:
    """Images with one prompt and with several; scores of prompts and images that nobody compared, and gaps."""
    random = np.random.default_rng(prompts)
    pairs = sorted({(SHAS[i], f"p{j}") for i, j in random.integers(0, (50, prompts), (90, 2))})
    raw = random.random(len(pairs), np.float32)
    scores = Scores("s@1", "identity", *(pa.array(column) for column in zip(*pairs, strict=True)), raw)
    a, b, p = random.integers(10, 60, 300), random.integers(10, 60, 300), random.integers(1, prompts + 1, 300)
    columns = {"image_a": [SHAS[i] for i in a], "image_b": [SHAS[i] for i in b], "prompt_sha": [f"p{i}" for i in p]}
    coded = code(pa.table(columns), scored_images(scores) if known else None)
    expected = [scores[key] if (key := (SHAS[i], f"p{j}")) in scores else np.nan for i, j in zip(a, p, strict=True)]
    found = RawScores(scores, scored_images(scores), coded).find(coded.image_a, coded.prompt)
    np.testing.assert_array_equal(found, expected)
    assert (0 < np.isnan(found).sum() < 300) or prompts == 1
    nobody = RawScores(scores, scored_images(scores), coded).find(np.array([-1]), np.array([0]))
    assert np.isnan(nobody).all()


def test_no_scores_at_all() -> None:
    empty = pa.array([], pa.string())
    scores = Scores("s@1", "identity", empty, empty, np.zeros(0, np.float32))
    coded = code(pa.table({"image_a": ["x"], "image_b": ["y"], "prompt_sha": ["p"]}), scored_images(scores))
    assert np.isnan(RawScores(scores, empty, coded).find(coded.image_a, coded.prompt)).all()


def test_occurrence_by_hand() -> None:
    assert occurrence(np.array([5, 7, 5, 5, 7])).tolist() == [0, 0, 1, 2, 1]
    assert occurrence(np.array([], np.int64)).tolist() == []
