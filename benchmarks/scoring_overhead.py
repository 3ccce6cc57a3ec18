"""What a scoring run costs beyond the bare model and the bare decode, and how its time grows with distinct images.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scoring_overhead.py

A random CLIP of ViT-B/32's size, JPEGs of 512², batches of 32. The bare loop decodes, transforms, encodes and writes
nothing. Each round measures A B B A, so that what drifts falls on both; CPU seconds of the whole process, the median of
the rounds' ratios and their range. The model takes 95 % of either and wavers by some per cent; so the run is also asked
itself what of its CPU time went elsewhere than into model, decode and transform.
"""

from __future__ import annotations

import io
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel

from tastemaker.base.draw import numbers
from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import Comparison
from tastemaker.data.images import decode
from tastemaker.data.store import write_comparisons, write_images
from tastemaker.score import view
from tastemaker.score.clip.trunk import ClipTrunk
from tastemaker.score.models.clip_score import ClipScore
from tastemaker.score.runner import score
from tastemaker.score.scorer import transformed
from tastemaker.score.scores import FOLDER
from tastemaker.world.assets import SCORER

IMAGES, BATCH, ROUNDS = 64, 32, 5
PARTS = [(ClipTrunk, "images"), (ClipTrunk, "prompts"), (view, "decode"), (view, "_transformed")]
"""What a run cannot do without."""


def jpeg(number: int) -> bytes:
    coarse = numbers("benchmark", number).random((40, 40, 3)) * 255
    file = io.BytesIO()
    Image.fromarray(coarse.astype(np.uint8)).resize((512, 512), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def data_of(folder: Path, images: list[bytes], repeats: int) -> Path:
    """Each image is in ``repeats`` comparisons, with one prompt."""
    shas = [sha256_bytes(image) for image in images]
    rows = [
        Comparison(f"{step}-{place}", "a photo", shas[place], shas[place - step], "a")
        for step in range(1, repeats + 1)
        for place in range(len(shas))
    ]
    write_images(folder, images)
    write_comparisons(folder, rows)
    return folder


def bare(scorer: ClipScore, images: list[bytes]) -> float:
    began = time.process_time()
    prompt = scorer.trunk.prompts(["a photo"])
    for start in range(0, len(images), BATCH):
        shown = transformed(scorer.trunk.transform, [decode(image) for image in images[start : start + BATCH]])
        scorer.head(scorer.trunk.images(shown), np.repeat(prompt, len(shown), 0))
    return time.process_time() - began


def run(scorer: ClipScore, data: Path) -> float:
    shutil.rmtree(data / FOLDER, ignore_errors=True)
    began = time.process_time()
    score(data, scorer, batch_size=BATCH)
    return time.process_time() - began


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(0)
        CLIPModel(CLIPConfig()).save_pretrained(folder / "clip")
        images = [jpeg(number) for number in range(IMAGES)]
        once = data_of(folder / "once", images, repeats=1)
        often = data_of(folder / "often", images, repeats=8)
        half = data_of(folder / "half", images[: IMAGES // 2], repeats=1)
        scorer = ClipScore(checkpoint=str(folder / "clip"), tokenizer=str(SCORER))
        run(scorer, half)  # loads weights, warms caches
        outside = [dispatch(scorer, once) for _ in range(ROUNDS)]
        print(f"{'outside model, decode and transform':<40}{statistics.median(outside):6.3f}   of the run", flush=True)
        alone = partial(bare, scorer, images)
        show("the run, of bare model and decode", partial(run, scorer, once), alone)
        show("8 times the comparisons, of the run", partial(run, scorer, often), partial(run, scorer, once))
        show("half the images, of the run", partial(run, scorer, half), partial(run, scorer, once))


def dispatch(scorer: ClipScore, data: Path) -> float:
    """Share of a run's CPU time that is spent elsewhere, by the clocks of the threads that do the work."""
    inside: list[float] = []

    def clocked(part: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object) -> object:
            began = time.thread_time()
            try:
                return part(*arguments)
            finally:
                inside.append(time.thread_time() - began)

        return timed

    with ExitStack() as patches:
        for owner, name in PARTS:
            patches.enter_context(mock.patch.object(owner, name, clocked(getattr(owner, name))))
        whole = run(scorer, data)
    return 1 - sum(inside) / whole


def show(what: str, a: Callable[[], float], b: Callable[[], float]) -> None:
    ratios = []
    for _ in range(ROUNDS):
        first, second, third, fourth = a(), b(), b(), a()
        ratios.append((first + fourth) / (second + third))
    print(f"{what:<40}{statistics.median(ratios):6.3f}   ({min(ratios):.3f}–{max(ratios):.3f})", flush=True)


if __name__ == "__main__":
    main()
