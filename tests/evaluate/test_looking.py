"""One pass over the images: who is asked how often, resuming, one judge more, and images that cannot be seen."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from support.toy_scorers import Bright, Fitting, Pretty, ToyTrunk
from tastemaker.base.errors import UserError
from tastemaker.evaluate import looking
from tastemaker.evaluate.jury import Jury, classifier_key, embedding_key, score_key
from tastemaker.evaluate.looking import Answers
from tastemaker.evaluate.options import Judges
from tastemaker.evaluate.safety import Safety
from tastemaker.score.scorer import Scorer

PROMPTS = [f"prompt {number // 2}" for number in range(10)]


@dataclasses.dataclass
class Shade:
    """Two classes by the red of the first pixel; counts what it has seen."""

    id: str = "shade@1"
    classes: tuple[str, ...] = ("dark", "light")
    seen: int = 0
    says: float | None = None

    def logits(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.seen += len(images)
        reds = [image.getpixel((0, 0))[0] for image in images]
        return np.array([[0, self.says or red] for red in reds], np.float32)


def png(red: int, size: tuple[int, int] = (6, 6)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(red).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    pixels[0, 0, 0] = red
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def folder(path: Path, pngs: Sequence[bytes]) -> Path:
    path.mkdir()
    keys = [{"prompt_index": row // 2, "prompt": PROMPTS[row], "sample": row % 2} for row in range(len(pngs))]
    rows = [key | {"png": data} for key, data in zip(keys, pngs, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), path / "images.parquet")
    return path


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    return folder(tmp_path / "drawn", [png(red) for red in range(10)])


def asked(drawn: Path, parts: Path, judges: Judges, batch_size: int = 4) -> Answers:
    answers = Answers(parts, [drawn])
    answers.complete(drawn, "model", Jury(judges, PROMPTS), batch_size)
    return answers


def judges(log: Path | None = None, *more: Scorer, **named: object) -> Judges:
    trunk = ToyTrunk(log)
    return Judges([Fitting(trunk), Pretty(trunk), Bright(), *more], **named)  # type: ignore[arg-type]


def test_every_judge_says_what_it_says_alone(drawn: Path, tmp_path: Path) -> None:
    shade = Shade()
    everyone = judges(embedding=Pretty(), classifier=shade, safety=Safety(shade, ("light",)))
    answers = asked(drawn, tmp_path / "parts", everyone)
    images = [Image.open(io.BytesIO(png(red))) for red in range(10)]
    for scorer in everyone.scorers:
        alone = scorer.score(PROMPTS, images)
        np.testing.assert_allclose(answers.read(score_key(scorer.id), drawn)[:, 0], alone, rtol=1e-5, atol=1e-6)
    embeddings = answers.read(embedding_key("toy@1"), drawn)
    assert embeddings.shape == (10, 16)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(answers.read(classifier_key("shade@1"), drawn)[:, 1], range(10))
    assert shade.seen == 10, "one classifier for score and safety is asked once"


def test_a_trunk_looks_once_for_all(drawn: Path, tmp_path: Path) -> None:
    """Two scorers and the embedding share it: ten images in all, and five prompts."""
    log = tmp_path / "log"
    asked(drawn, tmp_path / "parts", judges(log, embedding=Pretty(ToyTrunk(log))))
    calls = [line.split() for line in log.read_text().splitlines()]
    assert sum(int(count) for what, count in calls if what == "images") == 10
    assert sum(int(count) for what, count in calls if what == "prompts") == 5


def test_the_batch_size_changes_nothing(drawn: Path, tmp_path: Path) -> None:
    one, other = (asked(drawn, tmp_path / str(size), judges(), size) for size in (1, 7))
    for key in ("fitting@1", "pretty@1", "bright@1"):
        np.testing.assert_allclose(one.read(score_key(key), drawn), other.read(score_key(key), drawn), rtol=1e-5)


def test_a_further_judge_is_asked_alone(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "CHUNK", 4)
    shade, log = Shade(), tmp_path / "log"
    asked(drawn, tmp_path / "parts", judges(classifier=shade))
    before = shade.seen
    answers = asked(drawn, tmp_path / "parts", judges(log, classifier=shade, embedding=Pretty(ToyTrunk(log))))
    assert shade.seen == before == 10
    assert answers.read(embedding_key("toy@1"), drawn).shape == (10, 16)


def test_only_one_batch_of_embeddings_is_held(drawn: Path, tmp_path: Path) -> None:
    jury = Jury(judges(), PROMPTS)
    Answers(tmp_path / "parts", [drawn]).complete(drawn, "model", jury, 4)
    assert len(jury._panel.seen["toy@1"].known) == 2, "ten images in batches of four leave two"


@pytest.mark.parametrize("whole", [4, 3])
def test_a_judge_that_is_behind_catches_up(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    """Killed between two judges, or written in other chunks: everyone ends with every image once, in order."""
    monkeypatch.setattr(looking, "CHUNK", whole)
    begun = Answers(tmp_path / "parts", [drawn])
    begun.journal(classifier_key("shade@1"), drawn).append(looking._table(np.full((5, 2), 7, np.float32)))
    answers = asked(drawn, tmp_path / "parts", judges(classifier=Shade()))
    np.testing.assert_array_equal(answers.read(classifier_key("shade@1"), drawn)[:, 1], [7] * 5 + [5, 6, 7, 8, 9])
    assert answers.read(score_key("bright@1"), drawn).shape == (10, 1)


def test_other_images_have_other_answers(drawn: Path, tmp_path: Path) -> None:
    other = folder(tmp_path / "other", [png(red) for red in range(100, 110)])
    answers = Answers(tmp_path / "parts", [drawn, other])
    jury = Jury(judges(classifier=Shade()), PROMPTS)
    for place in (drawn, other):
        answers.complete(place, "model", jury, 4)
    assert answers.read(classifier_key("shade@1"), other)[0, 1] == 100


@pytest.mark.parametrize(
    ("spoiled", "who", "message"),
    [
        (b"no image", judges(), r"image 6 has no score fitting@1: image_unknown_format"),
        (png(5)[:60], judges(), r"image 6 has no score fitting@1: image_damaged"),
        (png(5, (1, 6)), judges(), r"image 6 has no score fitting@1: image_not_transformed .*too thin"),
        (png(5, (1, 6)), Judges([], embedding=Pretty()), r"image 6 has no embedding toy@1: image_not_transformed"),
        (b"no image", Judges([], classifier=Shade()), r"image 6 has no classes shade@1: image_unknown_format"),
    ],
)
def test_an_image_that_cannot_be_seen_is_named(tmp_path: Path, spoiled: bytes, who: Judges, message: str) -> None:
    pngs = [png(red) for red in range(10)]
    pngs[5] = spoiled
    bad = folder(tmp_path / "bad", pngs)
    with pytest.raises(UserError, match=rf"bad/images.parquet: {message}") as error:
        asked(bad, tmp_path / "parts", who)
    assert "make it again" in str(error.value)


def test_a_classifier_that_answers_nonsense_is_named(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"image 1 has no classes shade@1: classifier_not_finite"):
        asked(drawn, tmp_path / "a", Judges([], classifier=Shade(says=float("inf"))))
    with pytest.raises(UserError, match=r"shade@1: answers with shape \[4, 2\] for 4 images"):
        asked(drawn, tmp_path / "b", Judges([], classifier=Shade(classes=("one",))))
