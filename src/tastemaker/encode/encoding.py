"""The verb ``encode``: every distinct image and prompt of ranked pairs goes through the model's encoders once.

What a shard holds is a function of the model, the pairs and the images alone, and its header says which: a stopped run
goes on after its last whole shard and ends in the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.base.errors import UserError
from tastemaker.base.files import clear_temporaries, locked, write_json
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.encode.cache import INDEX, image_key
from tastemaker.encode.geometry import time_ids
from tastemaker.encode.shards import Tensors, chunks, places, write_shards
from tastemaker.encode.work import bucket_cuts, images_by_pair, square_cuts, work_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tastemaker.backbone.backbone import Backbone, Condition
    from tastemaker.backbone.load import DType
    from tastemaker.data.store import ImageStore
    from tastemaker.encode.geometry import Size, TimeIds
    from tastemaker.encode.work import Cuts, Work

EmbedsType = Literal["float32", "bfloat16", "float16"]
"""Number format in which what the text encoders say is stored."""


def encode(
    ranked: Sequence[Path],
    data: Path | Sequence[Path],
    model: str,
    out: Path,
    resolution: int | None = None,
    *,
    buckets: bool = False,
    dtype: DType = "float32",
    embeds_dtype: EmbedsType = "float32",
    revision: str | None = None,
    batch_size: int = 8,
    shard_rows: int = 512,
    device: str = "auto",
) -> dict[str, Any]:
    """Encode the images and prompts of the ``ranked`` pairs, and the empty prompt, with ``model`` into ``out``.

    The images are looked for in ``data``, one or several stores. The encoders run in ``dtype``, whatever training runs
    in. Images are resized and cut at the centre to the square of ``resolution`` pixels, by default the model's own;
    with ``buckets``, to the shape of `buckets.bucket_sizes` that is nearest to the pair's. Returns the summary. Raises
    `UserError` when an input is missing, an image cannot be decoded any more, or ``out`` holds something else.
    """
    from tastemaker.backbone.load import identity, load
    from tastemaker.data.store import ImageStore
    from tastemaker.rank.pairs import read_pairs

    started = time.monotonic()
    if not ranked:
        raise UserError("encode: no pairs given; give one or more output folders of `tastemaker rank`")
    for option, value in (("--batch-size", batch_size), ("--shard-rows", shard_rows)):
        if value < 1:
            raise UserError(f"{option} {value}: must be at least 1")
    stores = [data] if isinstance(data, Path) else data
    if not stores:
        raise UserError("--data: no folder given; give one or more output folders of `tastemaker import`")
    key, store = identity(model, revision), ImageStore(*stores)
    pairs = [pair for folder in ranked for pair in read_pairs(folder)]
    work, together = work_of(pairs, store), images_by_pair(pairs) if buckets else None
    settings = {"resolution": resolution, "embeds_dtype": embeds_dtype, "shard_rows": shard_rows}
    settings |= {} if dtype == "float32" else {"dtype": dtype}
    mark = fingerprint(model_key=key, work=vars(work), together=together, **settings)
    with locked(out):
        if (summary := finished(out, mark)) is not None:
            return summary
        clear_temporaries(out)
        backbone = load(model, dtype, revision, device)
        side = backbone.resolution if resolution is None else resolution
        shape = backbone.latent_shape(side)
        factor = side // shape[1]
        cuts = square_cuts(work, side) if together is None else bucket_cuts(work, together, store.sizes(), side, factor)
        writer = Writer(out, backbone, store, work, cuts, shard_rows, batch_size, embeds_dtype, mark)
        writer.write_all()
        facts = {"model": model, "model_key": key, "resolution": side, "latent_shape": shape}
        write_json(out / INDEX, facts | {"scaling_factor": backbone.scaling_factor} | writer.index(side))
        return finish(out, "encode", started, **facts, **_counts(work, cuts), fingerprint=mark)


@dataclass(frozen=True)
class Writer:
    """Writes the shards that ``out`` does not have yet. An image shard holds images of one size."""

    out: Path
    backbone: Backbone
    store: ImageStore
    work: Work
    cuts: Cuts
    shard_rows: int
    batch_size: int
    embeds_dtype: EmbedsType
    mark: str

    def write_all(self) -> None:
        """Images first, then prompts; raises `UserError` for a shard of other inputs."""
        write_shards(self.out, "images", self._images(), self._encode_images, self.batch_size, self.mark)
        write_shards(self.out, "prompts", self._prompts(), self._encode_prompts, self.batch_size, self.mark)

    def index(self, resolution: int) -> dict[str, Any]:
        """What ``cache.json`` says of where everything is."""
        images = {image_key(sha, size, resolution): place for (sha, size), place in places(self._images()).items()}
        found: dict[str, Any] = {"images": images, "prompts": places(self._prompts())}
        return found if self.cuts.buckets is None else found | {"buckets": self.cuts.buckets}

    def _images(self) -> list[list[tuple[str, Size]]]:
        return [
            [(sha, size) for sha in rows]
            for size, shas in self.cuts.images.items()
            for rows in chunks(shas, self.shard_rows)
        ]

    def _prompts(self) -> list[list[str]]:
        return chunks(list(self.work.prompts), self.shard_rows)

    def _encode_images(self, images: list[tuple[str, Size]]) -> Tensors:
        import torch

        found = dict(self.store.read_many(sha for sha, _ in images))
        rows = [_cut(sha, found[sha], size) for sha, size in images]
        moments = self.backbone.encode(torch.stack([torch.from_numpy(pixels) for pixels, _ in rows]))
        geometry = torch.tensor([ids for _, ids in rows], dtype=torch.float32)
        return moments._asdict() | {"time_ids": geometry}

    def _encode_prompts(self, shas: list[str]) -> Tensors:
        condition = self.backbone.condition([self.work.prompts[sha] for sha in shas])
        return _stored(condition, self.embeds_dtype)


def _cut(sha: str, data: bytes, size: Size) -> tuple[NDArray[np.float32], TimeIds]:
    """Pixels [3, H, W] of an image cut to ``size``, and its geometry."""
    from tastemaker.data.images import ImageProblem, decode, to_pixels

    try:
        image = decode(data)
    except ImageProblem as problem:
        raise UserError(f"image {sha}: {problem.reason} ({problem.detail}); import the data again") from problem
    return to_pixels(image, *size), time_ids((image.height, image.width), size)


def _stored(condition: Condition, dtype: EmbedsType) -> Tensors:
    """``condition`` with its floating-point numbers in the format ``dtype``."""
    import torch

    kind: torch.dtype = getattr(torch, dtype)
    stored = {name: rows.to(kind) if rows.is_floating_point() else rows for name, rows in condition.items()}
    for name, rows in stored.items():
        if not torch.isfinite(rows).all():
            raise UserError(f"--embeds-dtype {dtype}: {name} of a prompt is not finite in it; use bfloat16 or float32")
    return stored


def _counts(work: Work, cuts: Cuts) -> dict[str, Any]:
    """How many images and prompts there are; with buckets, how many images each has."""
    counts = {"images": len(work.images), "prompts": len(work.prompts)}
    if cuts.buckets is None:
        return counts
    return counts | {"buckets": {f"{height}x{width}": len(shas) for (height, width), shas in cuts.images.items()}}
