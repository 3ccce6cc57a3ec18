"""The verb ``generate``: images of a list of prompts, in a folder that can be compared with another model's."""

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
from tastemaker.evaluate.prompts import read_prompts
from tastemaker.evaluate.sampling import Job, Sampler, SchedulerName, batches, draw_batch, jobs, sampler

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL.Image import Image

    from tastemaker.backbone.load import DType

IMAGES, SETTINGS, GRID, PARTS = "images.parquet", "settings.json", "grid.png", "parts"
ADAPTER = "pytorch_lora_weights.safetensors"
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
    prompts: Path | Sequence[str],
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
    """Draw ``samples`` images of every distinct prompt: ``images.parquet``, ``settings.json``, ``grid.png`` in ``out``.

    Two models given the same prompts, samples and seed start from the same noise, image by image. A killed run goes on
    with the batch it was at and ends with the same bytes; a finished one is recognised and left alone. ``adapter`` is a
    LoRA file or the RUN folder that holds one, ``limit`` uses the first so many prompts, the rest is as in
    `sampling.sample`. Raises `UserError` for bad prompts, a folder with other images, or a model that cannot be loaded.
    """
    from tastemaker.backbone.load import identity

    started = time.monotonic()
    if batch_size < 1:
        raise UserError(f"--batch-size {batch_size}: must be at least 1")
    given = read_prompts(prompts) if isinstance(prompts, Path) else list(prompts)
    used, duplicates = distinct(given, limit)
    adapter = adapter_file(adapter) if adapter else None
    settings = Settings(
        model=str(model),
        model_key=identity(model),
        adapter=str(adapter) if adapter else None,
        adapter_sha=files.sha256_file(adapter) if adapter else None,
        adapter_scale=adapter_scale,
        scheduler=scheduler,
        steps=steps,
        guidance=guidance,
        seed=seed,
        samples=samples,
        prompts=len(used),
        prompts_sha=prompts_sha(used),
        resolution=resolution,
        dtype=dtype,
    )
    fingerprint = summary.fingerprint(**settings.identity())
    with files.locked(out):
        _check(out, settings)
        if done := summary.finished(out, fingerprint):
            shutil.rmtree(out / PARTS, ignore_errors=True)
            return done
        _draw(out, settings, jobs(used, samples), batch_size)
        facts = {"prompts": len(used), "duplicate_prompts": duplicates, "images": len(used) * samples}
        done = summary.finish(out, "generate", started, **facts, out=out, fingerprint=fingerprint)
        shutil.rmtree(out / PARTS)
    return done


def distinct(prompts: Sequence[str], limit: int | None = None) -> tuple[list[str], int]:
    """The first ``limit`` distinct prompts, and how many of all were repetitions."""
    if not prompts or (limit is not None and limit < 1):
        raise UserError(f"{len(prompts)} prompts, --limit {limit}: at least one prompt is needed")
    unique = list(dict.fromkeys(prompts))
    return unique[:limit], len(prompts) - len(unique)


def prompts_sha(prompts: Sequence[str]) -> str:
    """One hash of a list of prompts, order included."""
    return files.sha256_text("".join(map(files.sha256_text, prompts)))


def adapter_file(path: Path) -> Path:
    """The LoRA weights that ``path`` (a file, or a folder such as RUN) means; `UserError` when there are none."""
    file = path / ADAPTER if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: no such file; give a LoRA file or the output folder of `tastemaker train`")
    return file


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


def _draw(out: Path, settings: Settings, work: Sequence[Job], batch_size: int) -> None:
    """Draw what is missing of ``work``, then write the final files."""
    journal = Journal(out / PARTS)
    if journal.rows < len(work):
        from tastemaker.backbone.load import load

        backbone = load(settings.model, settings.dtype, adapter=settings.adapter, adapter_scale=settings.adapter_scale)
        ready = sampler(
            backbone,
            settings.scheduler,
            resolution=settings.resolution,
            seed=settings.seed,
            steps=settings.steps,
            guidance=settings.guidance,
        )
        _record(out, settings, settings.resolution or backbone.resolution)
        _draw_missing(ready, work, journal, batch_size)
    write_tables(journal.tables(), out / IMAGES, ROW_GROUP)
    with files.atomic_file(out / GRID) as temporary:
        contact_sheet(out / IMAGES).save(temporary, format="png")


def _draw_missing(ready: Sampler, work: Sequence[Job], journal: Journal, batch_size: int) -> None:
    with progress.bar(work, "generate", unit="image") as bar:
        bar.update(journal.rows)
        for batch in batches(work[journal.rows :], batch_size):
            journal.append(_table(batch, draw_batch(ready, batch)))
            bar.update(len(batch))


def _record(out: Path, settings: Settings, size: int) -> None:
    """Add what is known once the model is loaded to ``settings.json``."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    files.write_json(out / SETTINGS, dataclasses.asdict(settings) | {"size": [size, size], "versions": versions})


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
