"""What planning and collecting a scoring run of Pick-a-Pic's size cost, without images and models.

    .venv/bin/python benchmarks/plan_million.py

959,040 comparisons of 1.1 million images and 58,960 prompts: CPU seconds of each part, and the peak of memory.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.base.files import sha256_text
from tastemaker.data.store import COMPARISON_SCHEMA, COMPARISONS
from tastemaker.score.blocks import blocks_of
from tastemaker.score.ledger import collect, done_rows
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.shards import SCHEMA
from tastemaker.score.work import wanted

PAIRS, IMAGES, PROMPTS = 959_040, 1_100_000, 58_960
T = TypeVar("T")


def timed(what: str, part: Callable[[], T]) -> T:
    began = time.process_time()
    found = part()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what:<32}{time.process_time() - began:>8.2f} s CPU   peak {peak:.2f} GB")
    return found


def write_comparisons(data: Path) -> None:
    random = np.random.Generator(np.random.Philox(7))
    images = np.array([f"{number:064x}" for number in range(IMAGES)])
    prompts = np.array([f"a prompt of usual length, with number {number}, trending" for number in range(PROMPTS)])
    shas = np.array([sha256_text(prompt) for prompt in prompts])
    prompt = np.sort(random.integers(0, PROMPTS, PAIRS))
    first = np.arange(PAIRS) * IMAGES // PAIRS
    columns = {name: np.full(PAIRS, "") for name in COMPARISON_SCHEMA.names if name not in ("share", "votes")}
    columns |= {"pair_id": np.array([f"{number:016x}" for number in range(PAIRS)]), "label": np.full(PAIRS, "a")}
    columns |= {"prompt": prompts[prompt], "prompt_sha": shas[prompt]}
    columns |= {"image_a": images[first], "image_b": images[(first + 1 + random.integers(0, 9, PAIRS)) % IMAGES]}
    pq.write_table(pa.table(columns), data / COMPARISONS)


def write_shards(data: Path, folder: Path) -> None:
    """As a finished run leaves them."""
    work = wanted(data)
    for number, part in enumerate(work.blocks(1024)):
        rows = part.stop - part.start
        sha, prompt = work.images.take(work.image[part]), work.prompt_shas.take(work.prompt[part])
        raw = pa.array(np.sin(np.arange(rows)), pa.float32())
        table = pa.table([sha, prompt, raw, pa.nulls(rows, pa.string()), pa.nulls(rows, pa.string())], schema=SCHEMA)
        pq.write_table(table, folder / f"shard-{number:016x}.parquet")


def elsewhere(part: Callable[..., None], *arguments: Path) -> None:
    """In a process of its own, so that its memory does not count."""
    process = multiprocessing.get_context("spawn").Process(target=part, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        elsewhere(write_comparisons, data)
        work = timed("distinct (image, prompt)", lambda: wanted(data))
        print(f"  {len(work)} rows, {len(work.images)} images")
        nothing = {"jpeg-size@q95": np.zeros(len(work), bool)}
        blocks = timed("all blocks", lambda: list(blocks_of(work, 1024, nothing)))
        print(f"  {len(blocks)} blocks")
        folder = data / "scores"
        folder.mkdir()
        elsewhere(write_shards, data, folder)
        done, _ = timed("what is done", lambda: done_rows(folder, work))
        assert done.all()
        timed("scores.parquet", lambda: collect(folder, JpegSize(), work))


if __name__ == "__main__":
    main()
