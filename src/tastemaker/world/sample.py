"""Comparisons of the small world: two samples of the base model for a caption, and a noisy judgement of them.

The judge prefers the first image with probability σ((u_0 − u_1)/τ) (Bradley & Terry 1952, u the utility), and
then a share of the judgements is turned round. Which ones came out wrong stands in a side file that only
evaluation reads; training, scoring and ranking see what Pick-a-Pic would show them.
"""

from __future__ import annotations

import datetime
import io
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.backbone.load import identity
from tastemaker.base.files import atomic_file, locked, sha256_bytes
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.evaluate.generating import IMAGES, generate
from tastemaker.evaluate.images import open_png
from tastemaker.rollout.simulated import Judging
from tastemaker.world import captions
from tastemaker.world.assets import BASE_MODEL
from tastemaker.world.scorer import pixels
from tastemaker.world.utility import Judge

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET, TRUTH = "pickapic/train-00000-of-00001.parquet", "truth.parquet"
STEPS = 20
JPEG = {"quality": 95, "subsampling": 0}
EPOCH = datetime.datetime(2026, 1, 1)
JUDGING = Judging()


def sample(
    out: Path,
    *,
    model: Path = BASE_MODEL,
    pairs: int = 3000,
    seed: int = 0,
    steps: int = STEPS,
    judging: Judging = JUDGING,
) -> dict[str, Any]:
    """Draw ``pairs`` judged pairs for different captions of the train split into ``out``; resumable.

    Writes ``pickapic/*.parquet`` (Pick-a-Pic's columns) and ``truth.parquet``: by `ranking_id` the two images' sha256,
    their utilities, and whether the label is wrong.
    """
    started = time.monotonic()
    mark = fingerprint(model=identity(model), pairs=pairs, seed=seed, steps=steps, judging=asdict(judging))
    with locked(out):
        if done := finished(out, mark):
            return done
        texts = [captions.caption(scene) for scene in captions.draw("train", pairs, seed)]
        generate(model, texts, out / "drawn", samples=2, seed=seed, steps=steps, guidance=1.0, batch_size=64)
        rows = [_row(index, text, images, seed, judging) for index, (text, images) in enumerate(_pairs(out / "drawn"))]
        _write(rows, out)
        shutil.rmtree(out / "drawn")
        facts = {"pairs": pairs, "ties": sum(r["label_0"] == 0.5 for r in rows), "wrong": sum(r["wrong"] for r in rows)}
        return finish(out, "world sample", started, fingerprint=mark, **facts, judging=asdict(judging), seed=seed)


def _pairs(folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Caption and the two images of each pair, encoded as JPEG."""
    import pyarrow.parquet as pq

    kept: list[bytes] = []
    for batch in pq.ParquetFile(folder / IMAGES).iter_batches(64, columns=["prompt", "png"]):
        for row in batch.to_pylist():
            kept.append(_jpeg(row["png"]))
            if len(kept) == 2:
                yield row["prompt"], kept
                kept = []


def _jpeg(png: bytes) -> bytes:
    file = io.BytesIO()
    open_png(png).save(file, format="JPEG", **JPEG)
    return file.getvalue()


def _row(index: int, text: str, images: list[bytes], seed: int, judging: Judging) -> dict[str, Any]:
    first, second = (Judge(pixels(open_png(image))).utility(captions.parse(text)) for image in images)
    label = judging.label((first, second), seed, text)
    uids = [sha256_bytes(image)[:32] for image in images]
    return {
        "are_different": images[0] != images[1],
        "best_image_uid": {1.0: uids[0], 0.0: uids[1]}.get(label, "tie"),
        "caption": text,
        "created_at": EPOCH + datetime.timedelta(seconds=index),
        "has_label": True,
        "image_0_uid": uids[0],
        "image_0_url": "",
        "image_1_uid": uids[1],
        "image_1_url": "",
        "jpg_0": images[0],
        "jpg_1": images[1],
        "label_0": label,
        "label_1": 1.0 - label,
        "model_0": "tastemaker-world",
        "model_1": "tastemaker-world",
        "ranking_id": index,
        "user_id": index % 50,
        "num_example_per_prompt": 1,
        "__index_level_0__": index,
        "image_0": sha256_bytes(images[0]),
        "image_1": sha256_bytes(images[1]),
        "utility_0": first,
        "utility_1": second,
        "wrong": label != 0.5 and (label == 1.0) != (first > second),
    }


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    import pyarrow as pa

    table = pa.Table.from_pylist(rows)
    hidden = ["image_0", "image_1", "utility_0", "utility_1", "wrong"]
    _write_table(table.drop_columns(hidden), out / PARQUET)
    _write_table(table.select(["ranking_id", *hidden]), out / TRUTH)


def _write_table(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    with atomic_file(path) as temporary:
        # A JPEG of this size is half tables that are the same in every file: compressed together they cost nothing.
        pq.write_table(table, temporary, compression="zstd", compression_level=19, row_group_size=512)
