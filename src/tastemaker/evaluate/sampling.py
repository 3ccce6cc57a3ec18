"""Images from prompts, through the diffusers pipeline itself.

The initial noise of an image is a function of (seed, prompt, sample) alone, so models, batch sizes and orders of the
prompts can be compared image by image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tastemaker.base import draw
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from tastemaker.backbone.backbone import Backbone

SchedulerName = Literal["ddim", "own"]
"""``ddim`` is the deterministic sampler (DDIM with η = 0), ``own`` the scheduler saved with the model."""


class Job(NamedTuple):
    """One image to draw: sample number ``sample`` of ``prompt``, the ``prompt_index``-th in its list."""

    prompt_index: int
    prompt: str
    sample: int


def jobs(prompts: Sequence[str], samples: int) -> list[Job]:
    """Every image to draw, sorted by (prompt_index, sample)."""
    return [Job(index, prompt, sample) for index, prompt in enumerate(prompts) for sample in range(samples)]


def batches(work: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    """``work`` in runs of ``size``."""
    if size < 1:
        raise UserError(f"--batch-size {size}: must be at least 1")
    return (work[start : start + size] for start in range(0, len(work), size))


def initial_noise(batch: Iterable[Job], shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal latents [B, C, H, W], float32; each row is keyed by (seed, prompt, sample)."""
    import torch

    return torch.stack([draw.normal(shape, seed, "initial", job.prompt, job.sample) for job in batch])


def sample(
    backbone: Backbone,
    prompts: Sequence[str],
    *,
    samples: int = 1,
    seed: int = 0,
    steps: int = 50,
    guidance: float = 7.5,
    batch_size: int = 16,
    scheduler: SchedulerName = "ddim",
    resolution: int | None = None,
) -> Iterator[Image]:
    """``samples`` RGB images a prompt, sorted by (prompt, sample), drawn ``batch_size`` at a time.

    ``guidance`` is the classifier-free guidance scale (Ho & Salimans 2022, arXiv 2207.12598); at 1 or below a step is
    one forward pass. ``resolution`` is the side in pixels, by default the model's own.
    """
    pipeline = sampler(backbone, scheduler, steps)
    shape = backbone.latent_shape(resolution or backbone.resolution)
    for batch in batches(jobs(prompts, samples), batch_size):
        yield from draw_batch(pipeline, batch, shape, seed=seed, steps=steps, guidance=guidance)


def sampler(backbone: Backbone, scheduler: SchedulerName, steps: int) -> Any:
    """The backbone's diffusers pipeline with the chosen scheduler and no progress bar of its own.

    Raises `UserError` when the model's noise process has less than ``steps`` steps.
    """
    from diffusers import DDIMScheduler

    pipeline = backbone.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    if scheduler == "ddim":
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    if steps > (most := pipeline.scheduler.config.num_train_timesteps):
        raise UserError(f"{steps} denoising steps: this model's noise process has {most}; give at most that")
    return pipeline


def draw_batch(
    pipeline: Any, batch: Sequence[Job], shape: tuple[int, ...], *, seed: int, steps: int, guidance: float
) -> list[Image]:
    """Run ``pipeline`` once for ``batch``; noise that the scheduler itself draws is keyed like the initial noise."""
    import torch

    noise = initial_noise(batch, shape, seed).to(pipeline.unet.device, pipeline.unet.dtype)
    step_noise = [torch.Generator().manual_seed(draw.seed(seed, "steps", job.prompt, job.sample)) for job in batch]
    with torch.inference_mode():
        result = pipeline(
            prompt=[job.prompt for job in batch],
            latents=noise,
            generator=step_noise,
            num_inference_steps=steps,
            guidance_scale=guidance,
            height=shape[-2] * pipeline.vae_scale_factor,
            width=shape[-1] * pipeline.vae_scale_factor,
        )
    images: list[Image] = result.images
    return images
