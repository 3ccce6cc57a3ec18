"""The verb ``generate``: images of a set of prompts, in a folder that can be compared with another model's."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, progress, summary
from tastemaker.base.errors import UserError
from tastemaker.evaluate.contact_sheet import contact_sheet
from tastemaker.evaluate.journal import Journal, write_tables
from tastemaker.evaluate.prompts import PromptSet, given, prompts_sha, read_prompt_set
from tastemaker.evaluate.sampling import Job, Sampler, SchedulerName, batches, draw_batch, jobs, sampler
from tastemaker.evaluate.weights import adapter_place, adapter_sha, load_weights, model_key, model_place

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL.Image import Image

    from tastemaker.backbone.load import DType

IMAGES, PROMPTS, SETTINGS, GRID, PARTS = "images.parquet", "prompts.parquet", "settings.json", "grid.png", "parts"
ROW_GROUP = 32
"""Images a row group: one image of 100 kB is then read in about a millisecond."""
LIBRARIES = ("tastemaker", "torch", "diffusers", "transformers", "peft")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the images depend on, as ``settings.json`` records it; ``resolution`` in pixels, None is the model's own."""

    model: str
    model_key: str
    adapter: str | None
    adapter_sha: str | None
    adapter_scale: float
    scheduler: SchedulerName
    steps: int
    guidance: float
    seed: int
    samples: int
    prompts: int
    prompts_sha: str
    resolution: int | None
    dtype: DType

    def __post_init__(self) -> None:
        for name in ("steps", "samples"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} {getattr(self, name)}: must be at least 1")

    def identity(self) -> dict[str, Any]:
        """Everything but the places where model and adapter lie."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in ("model", "adapter")}


def generate(
    model: str | Path,
    prompts: Path | PromptSet | Sequence[str],
    out: Path,
    *,
    adapter: Path | None = None,
    adapter_scale: float = 1.0,
    samples: int = 1,
    seed: int = 0,
    steps: int = 50,
    guidance: float = 7.5,
    scheduler: SchedulerName = "ddim",
    resolution: int | None = None,
    limit: int | None = None,
    batch_size: int = 16,
    dtype: DType = "float32",
) -> dict[str, Any]:
    """Draw ``samples`` images of every distinct prompt into ``out``.

    That is ``images.parquet``, ``prompts.parquet``, ``settings.json`` and ``grid.png``. Two models given the same
    prompts, samples and seed start from the same noise, image by image. A killed run goes on with the batch it was at
    and ends with the same bytes; a finished one is recognised and left alone. ``prompts`` is a file as in
    `read_prompt_set`, ``limit`` uses the first so many; ``model`` and ``adapter`` are as in `model_place` and
    `adapter_place`, the rest as in `sampling.sample`. Raises `UserError` for bad prompts, a folder with other images,
    or weights that cannot be loaded.
    """
    started = time.monotonic()
    if batch_size < 1:
        raise UserError(f"--batch-size {batch_size}: must be at least 1")
    source = prompt_set(prompts)
    used = distinct(source, limit)
    model, adapter = model_place(model), adapter_place(adapter) if adapter else None
    settings = Settings(
        model=model,
        model_key=model_key(model),
        adapter=str(adapter) if adapter else None,
        adapter_sha=adapter_sha(adapter) if adapter else None,
        adapter_scale=adapter_scale,
        scheduler=scheduler,
        steps=steps,
        guidance=guidance,
        seed=seed,
        samples=samples,
        prompts=len(used.prompts),
        prompts_sha=prompts_sha(used.prompts),
        resolution=resolution,
        dtype=dtype,
    )
    fingerprint = summary.fingerprint(**settings.identity())
    with files.locked(out):
        _check(out, settings)
        if done := summary.finished(out, fingerprint):
            shutil.rmtree(out / PARTS, ignore_errors=True)
            return done
        _draw(out, settings, used, batch_size)
        duplicates = len(source.prompts) - len(set(source.prompts))
        facts = {"prompts": settings.prompts, "duplicate_prompts": duplicates, "images": settings.prompts * samples}
        done = summary.finish(out, "generate", started, **facts, out=out, fingerprint=fingerprint)
        shutil.rmtree(out / PARTS)
    return done


def prompt_set(prompts: Path | PromptSet | Sequence[str]) -> PromptSet:
    """``prompts`` as a set, read where it is a file."""
    if isinstance(prompts, PromptSet):
        return prompts
    return read_prompt_set(prompts) if isinstance(prompts, Path) else given(prompts)


def distinct(prompts: PromptSet, limit: int | None = None) -> PromptSet:
    """The first ``limit`` distinct prompts; `UserError` when that is none."""
    if not prompts.prompts or (limit is not None and limit < 1):
        raise UserError(f"{len(prompts.prompts)} prompts, --limit {limit}: at least one prompt is needed")
    return prompts.distinct(limit)


def _check(out: Path, settings: Settings) -> None:
    """Raise a `UserError` when the images in ``out``, if there are any yet, were drawn with other ``settings``."""
    path = out / SETTINGS
    begun = (out / summary.NAME).exists() or any((out / PARTS).glob("part-*"))
    if not (begun and path.exists()):
        return
    earlier = files.read_json(path)
    for name, value in settings.identity().items():
        if earlier.get(name) != value:
            raise UserError(
                f"{out}: its images are drawn with {name} {earlier.get(name)!r}, not {value!r}; "
                "choose another --out or remove it"
            )


def _draw(out: Path, settings: Settings, prompts: PromptSet, batch_size: int) -> None:
    """Draw what is missing, then write the final files."""
    files.clear_temporaries(out)
    work, journal = jobs(prompts.prompts, settings.samples), Journal(out / PARTS)
    if journal.rows < len(work):
        ready = _sampler(settings, out / f"{files.TEMPORARY}weights")
        _record(out, settings, prompts, settings.resolution or ready.backbone.resolution)
        _draw_missing(ready, work, journal, batch_size)
    write_tables(journal.tables(), out / IMAGES, ROW_GROUP)
    with files.atomic_file(out / GRID) as temporary:
        contact_sheet(out / IMAGES).save(temporary, format="png")


def _sampler(settings: Settings, workshop: Path) -> Sampler:
    backbone = load_weights(settings.model, settings.adapter, settings.adapter_scale, settings.dtype, workshop)
    return sampler(
        backbone,
        settings.scheduler,
        resolution=settings.resolution,
        seed=settings.seed,
        steps=settings.steps,
        guidance=settings.guidance,
    )


def _draw_missing(ready: Sampler, work: Sequence[Job], journal: Journal, batch_size: int) -> None:
    with progress.bar(work, "generate", unit="image") as bar:
        bar.update(journal.rows)
        for batch in batches(work[journal.rows :], batch_size):
            journal.append(_table(batch, draw_batch(ready, batch)))
            bar.update(len(batch))


def _record(out: Path, settings: Settings, prompts: PromptSet, size: int) -> None:
    """Write what the images are drawn of, and ``settings.json`` with what is known once the model is loaded."""
    import pyarrow.parquet as pq

    with files.atomic_file(out / PROMPTS) as temporary:
        pq.write_table(_prompt_table(prompts), temporary)
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    facts = {"prompt_set": prompts.record(), "size": [size, size], "versions": versions}
    files.write_json(out / SETTINGS, dataclasses.asdict(settings) | facts)


def _prompt_table(prompts: PromptSet) -> pa.Table:
    import pyarrow as pa

    numbers = pa.array(range(len(prompts.prompts)), pa.int32())
    texts = {"prompt": prompts.prompts, **prompts.groups}
    return pa.table({"prompt_index": numbers} | {name: pa.array(row, pa.string()) for name, row in texts.items()})


def _table(batch: Sequence[Job], images: Sequence[Image]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "prompt_index": pa.array([job.prompt_index for job in batch], pa.int32()),
            "prompt": pa.array([job.prompt for job in batch], pa.string()),
            "sample": pa.array([job.sample for job in batch], pa.int32()),
            "png": pa.array([_png(image) for image in images], pa.binary()),
        }
    )


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="png")
    return buffer.getvalue()
