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
from tastemaker.evaluate.sampling import Job, SchedulerName, draw_batch, jobs, sampler

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL.Image import Image

    from tastemaker.backbone.backbone import Backbone

IMAGES, SETTINGS, GRID, PARTS = "images.parquet", "settings.json", "grid.png", "parts"
ADAPTER = "pytorch_lora_weights.safetensors"
ROW_GROUP = 32
"""Images a row group: one image of 100 kB is then read in about a millisecond."""
LIBRARIES = ("tastemaker", "torch", "diffusers", "transformers", "peft")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the images depend on, as ``settings.json`` records it; ``resolution`` in pixels, None is the model's own."""

    model: str
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
    dtype: str

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("samples", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} {getattr(self, name)}: must be at least {least}")


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
    dtype: str = "float32",
) -> dict[str, Any]:
    """Draw ``samples`` images of every distinct prompt: ``images.parquet``, ``settings.json``, ``grid.png`` in ``out``.

    Two models given the same prompts, samples and seed start from the same noise, image by image. A killed run goes on
    with the batch it was at and ends with the same bytes; a finished one is recognised and left alone. ``adapter`` is a
    LoRA file or the RUN folder that holds one, ``limit`` uses the first so many prompts, the rest is as in
    `sampling.sample`. Raises `UserError` for bad prompts, a folder with other images, or a model that cannot be loaded.
    """
    started = time.monotonic()
    if batch_size < 1 or (limit is not None and limit < 1):
        raise UserError(f"--batch-size {batch_size}, --limit {limit}: must be at least 1")
    given = read_prompts(prompts) if isinstance(prompts, Path) else list(prompts)
    distinct = list(dict.fromkeys(given))
    used = distinct[:limit]
    adapter = adapter_file(adapter) if adapter else None
    settings = Settings(
        model=str(model),
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
    fingerprint = summary.fingerprint(**dataclasses.asdict(settings))
    with files.locked(out):
        _claim(out, settings)
        if done := summary.finished(out, fingerprint):
            shutil.rmtree(out / PARTS, ignore_errors=True)
            return done
        _draw(out, settings, jobs(used, samples), adapter, batch_size)
        facts = {"prompts": len(used), "duplicate_prompts": len(given) - len(distinct), "images": len(used) * samples}
        done = summary.finish(out, "generate", started, **facts, out=out, fingerprint=fingerprint)
        shutil.rmtree(out / PARTS)
    return done


def prompts_sha(prompts: Sequence[str]) -> str:
    """One hash of a list of prompts, order included."""
    return files.sha256_text("".join(map(files.sha256_text, prompts)))


def adapter_file(path: Path) -> Path:
    """The LoRA weights that ``path`` (a file, or a folder such as RUN) means; `UserError` when there are none."""
    file = path / ADAPTER if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: no such file; give a LoRA file or the output folder of `tastemaker train`")
    return file


def _claim(out: Path, settings: Settings) -> None:
    """Record ``settings`` in ``out``, or check that they are the ones its images are drawn with."""
    path = out / SETTINGS
    if not path.exists():
        files.write_json(path, dataclasses.asdict(settings))
        return
    earlier = files.read_json(path)
    for name, value in dataclasses.asdict(settings).items():
        if earlier.get(name) != value:
            raise UserError(
                f"{out}: holds images drawn with {name} {earlier.get(name)!r}, not {value!r}; "
                f"choose another --out or remove it"
            )


def _draw(out: Path, settings: Settings, work: Sequence[Job], adapter: Path | None, batch_size: int) -> None:
    """Draw what is missing of ``work``, then write the final files."""
    journal = Journal(out / PARTS)
    if journal.rows < len(work):
        from tastemaker.backbone.load import load

        backbone = load(settings.model, dtype=settings.dtype, adapter=adapter, adapter_scale=settings.adapter_scale)
        _record_versions(out, settings, backbone)
        _draw_missing(backbone, settings, work, journal, batch_size)
    write_tables(journal.tables(), out / IMAGES, ROW_GROUP)
    with files.atomic_file(out / GRID) as temporary:
        contact_sheet(out / IMAGES).save(temporary, format="png")


def _draw_missing(
    backbone: Backbone, settings: Settings, work: Sequence[Job], journal: Journal, batch_size: int
) -> None:
    pipeline = sampler(backbone, settings.scheduler)
    shape = backbone.latent_shape(settings.resolution or backbone.resolution)
    with progress.bar(work, "generate", unit="image") as bar:
        bar.update(journal.rows)
        while batch := work[journal.rows : journal.rows + batch_size]:
            images = draw_batch(
                pipeline, batch, shape, seed=settings.seed, steps=settings.steps, guidance=settings.guidance
            )
            journal.append(_table(batch, images))
            bar.update(len(batch))


def _record_versions(out: Path, settings: Settings, backbone: Backbone) -> None:
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    size = settings.resolution or backbone.resolution
    facts = {"model_key": backbone.key, "size": [size, size], "versions": versions}
    files.write_json(out / SETTINGS, dataclasses.asdict(settings) | facts)


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
