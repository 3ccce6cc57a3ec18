"""Scorers that look alike share the looking: one decode, one trunk, prompts encoded once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.datasets import RedScorer, png, write_data
from support.noisy import noisy_data, picture
from support.toy_scorers import Bright, Fitting, Pretty, ToyTrunk
from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import Comparison
from tastemaker.data.images import decode
from tastemaker.score import panel, view
from tastemaker.score.runner import Settings, read_scores, score, score_all
from tastemaker.score.work import wanted

SETTINGS = Settings(shard_rows=8, batch_size=3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return noisy_data(tmp_path / "data", images=12, comparisons=30, prompts=5)


def calls(log: Path) -> Counter[str]:
    """How many images and prompts a trunk was shown."""
    found: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        what, count = line.split()
        found[what] += int(count)
    return found


def test_a_trunk_sees_each_image_and_prompt_once_for_all_its_scorers(data: Path, tmp_path: Path) -> None:
    trunk = ToyTrunk(tmp_path / "log")
    score_all(data, [Fitting(trunk), Pretty(trunk)], SETTINGS)
    assert calls(tmp_path / "log") == {"images": 12, "prompts": 5}


def test_an_image_is_decoded_once_for_all_scorers(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: Counter[str] = Counter()

    def counting(image: bytes) -> object:
        decoded[sha256_bytes(image)] += 1
        return decode(image)

    monkeypatch.setattr(view, "decode", counting)
    score_all(data, [Fitting(), Pretty(), Bright(), RedScorer()], SETTINGS)
    assert sorted(decoded.values()) == [1] * 12


def test_scores_do_not_depend_on_the_company(data: Path, tmp_path: Path) -> None:
    """Alone, together, and by the scorer's own `score`: to the bit, to the bit, and to rounding."""
    together = noisy_data(tmp_path / "together", images=12, comparisons=30, prompts=5)
    score_all(together, [Fitting(), Pretty(), Bright()], SETTINGS)
    work = wanted(data)
    for scorer in (Fitting(), Pretty(), Bright()):
        score(data, scorer, shard_rows=8, batch_size=3)
        alone = read_scores(data, scorer.id)
        assert alone.raw.tolist() == read_scores(together, scorer.id).raw.tolist()
        prompts = [work.prompts[place] for place in work.prompt]
        known = {sha256_bytes(picture(number)): picture(number) for number in range(12)}
        images = [decode(known[sha]) for sha in work.images.take(work.image).to_pylist()]
        by_hand = scorer.score(prompts, images)
        found = alone.find(work.images.take(work.image), work.prompt_shas.take(work.prompt))
        assert found == pytest.approx(by_hand, abs=1e-6)


def test_prompts_are_encoded_in_the_same_chunks_whichever_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    class Listening(ToyTrunk):
        def prompts(self, prompts: list[str]) -> np.ndarray:
            asked.append(list(prompts))
            return super().prompts(prompts)

    prompts = [f"prompt {number}" for number in range(150)]
    book = panel.Book(Listening(), prompts)
    assert book.embeddings([149, 3]).tolist() == ToyTrunk().prompts([prompts[149], prompts[3]]).tolist()
    book.embeddings([130, 0, 63])
    assert asked == [prompts[128:], prompts[:64]]
    monkeypatch.setattr(panel, "CHUNKS", 2)
    book.embeddings([64])  # the oldest goes
    book.embeddings([149])
    assert asked[2:] == [prompts[64:128], prompts[128:]]


def test_only_what_a_scorer_still_lacks_is_asked(data: Path, tmp_path: Path) -> None:
    trunk = ToyTrunk(tmp_path / "log")
    score(data, Fitting(trunk))
    (tmp_path / "log").unlink()
    summaries = score_all(data, [Fitting(trunk), Pretty(trunk)], SETTINGS)
    assert calls(tmp_path / "log") == {"images": 12}
    assert [summary["scorer"] for summary in summaries] == ["fitting@1", "pretty@1"]


def test_a_scorer_that_breaks_on_a_row_does_not_disturb_the_others(data: Path) -> None:
    class Fussy(Fitting):
        def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
            raw = super().head(images, prompts)
            if (raw > 0.1).any():
                raise MemoryError("too good")
            return raw

    score(data, Fitting())
    good = read_scores(data, "fitting").raw
    fussy, pretty = score_all(data, [Fussy(id="fussy@1"), Pretty()], SETTINGS)
    assert fussy["reasons"] == {"out_of_memory": int((good > 0.1).sum())}
    assert fussy["scored"] == int((good <= 0.1).sum())
    assert pretty["quarantined"] == 0


def test_an_image_that_cannot_be_transformed_is_set_aside_for_those_who_need_it(tmp_path: Path) -> None:
    thin = thin_png()
    comparison = Comparison("x", "a red circle", sha256_bytes(thin), sha256_bytes(png(7)), "a")
    data = write_data(tmp_path / "data", [comparison], [thin, png(7)])
    bright, red = score_all(data, [Bright(), RedScorer()])
    assert (bright["reasons"], bright["scored"]) == ({"image_not_transformed": 1}, 1)
    assert red["scored"] == 2


def thin_png() -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (1, 9)).save(file, "PNG")
    return file.getvalue()


def test_what_was_put_into_quarantine_is_tried_again_when_asked(data: Path) -> None:
    broken = RedScorer(broken=frozenset(range(100)))
    first = score(data, broken, shard_rows=1000, batch_size=100)
    assert first["quarantined"] > 0
    again = RedScorer()
    assert score(data, again) == first
    assert again.asked == []
    last = score(data, again, retry=True)
    assert (last["quarantined"], last["reused"]) == (0, first["scored"])
    assert last["scored"] == first["rows"] == len(read_scores(data, "red@1"))
    assert len(again.questions) == first["quarantined"]


def test_two_revisions_of_a_trunk_are_not_mixed(data: Path, tmp_path: Path) -> None:
    other = replace(ToyTrunk(tmp_path / "log"), id="toy@2")
    score_all(data, [Fitting(), Pretty(other)], SETTINGS)
    assert calls(tmp_path / "log") == {"images": 12}
