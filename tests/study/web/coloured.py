"""Studies of plain colours whose truth is known: red is what is preferred, green appeals, blue fits the prompt."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tastemaker.base import draw
from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import Comparison
from tastemaker.data.store import write_comparisons, write_images
from tastemaker.study.build import create, from_comparisons, from_folders
from tastemaker.study.design import Design, Plan

MODELS = ("base", "tuned")
CHANNELS = {"preference": 0, "appeal": 1, "alignment": 2}
QUESTIONS = ("preference", "appeal", "alignment")
AHEAD = 40
"""By how much the better of two images has more of a colour, of 255."""
SIZE = 48  # pixels
Colour = tuple[int, int, int]


def judge(question: str, prompt: str | None, images: list[Image.Image]) -> list[float]:
    """How much of the question's colour there is; appeal is asked without a prompt, and the others with it."""
    assert (prompt is None) == (question == "appeal"), f"{question} with the prompt {prompt!r}"
    return [float(np.asarray(image)[..., CHANNELS[question]].mean()) for image in images]


def colour_of(image: bytes) -> Colour:
    """The one colour of an image."""
    ((_, found),) = Image.open(io.BytesIO(image)).convert("RGB").getcolors() or ()
    assert isinstance(found, tuple)
    return (found[0], found[1], found[2])


def study(folder: Path, plan: Plan, prompts: int, truth: Mapping[str, float], gold: int = 0) -> Design:
    """A study in ``folder / "study"`` of ``prompts`` pairs.

    ``truth``: by question the share of the prompts on which the tuned model's image is the better one, exactly.
    """
    pairs = _pairs(prompts, truth, plan.seed)
    folders = {
        model: _generated(folder / model, [_png(pair[place]) for pair in pairs]) for place, model in enumerate(MODELS)
    }
    checks = from_comparisons(_known(folder / "gold", gold, plan.seed), gold=True) if gold else None
    return create(folder / "study", plan, from_folders(folders, "pair"), checks)


def _pairs(number: int, truth: Mapping[str, float], seed: int) -> list[tuple[Colour, Colour]]:
    """Colours of the base and of the tuned model's image of each prompt; no two images are alike."""
    numbers = draw.numbers(seed, "colours")
    middle = numbers.integers(AHEAD, 255 - AHEAD, (number, 3))
    signs = [numbers.permutation(np.arange(number) < round(truth[name] * number)) * 2 - 1 for name in QUESTIONS]
    half = np.stack(signs, 1) * AHEAD // 2
    pairs = [(_colour(one), _colour(two)) for one, two in zip(middle - half, middle + half, strict=True)]
    assert len({colour for pair in pairs for colour in pair}) == 2 * number
    return pairs


def _known(data: Path, number: int, seed: int) -> Path:
    """A data folder of pairs of which one image is better in every way."""
    numbers = draw.numbers(seed, "gold")
    pairs, rows = [], []
    for place in range(number):
        low = numbers.integers(0, 255 - AHEAD, 3)
        pair = [_png(_colour(low)), _png(_colour(low + AHEAD))]
        better = int(numbers.integers(2))
        shas = [sha256_bytes(image) for image in (pair if better else pair[::-1])]
        rows.append(Comparison(f"gold {place}", f"gold prompt {place}", *shas, "ab"[better]))  # type: ignore[arg-type]
        pairs += pair
    write_images(data, pairs)
    write_comparisons(data, rows)
    return data


def _generated(folder: Path, pngs: Sequence[bytes]) -> Path:
    """As `tastemaker generate` writes it."""
    folder.mkdir(parents=True)
    rows = {
        "prompt_index": [*range(len(pngs))],
        "prompt": [f"prompt {n}" for n in range(len(pngs))],
        "sample": [0] * len(pngs),
        "png": [*pngs],
    }
    pq.write_table(pa.table(rows), folder / "images.parquet")
    (folder / "settings.json").write_text(json.dumps({"seed": 0}))
    return folder


def _colour(levels: np.ndarray) -> Colour:  # type: ignore[type-arg]
    red, green, blue = (int(level) for level in levels)
    return red, green, blue


def _png(colour: Colour) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), colour).save(file, "PNG")
    return file.getvalue()
