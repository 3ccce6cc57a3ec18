"""Images from prompts, through the diffusers pipeline itself.

The initial noise of an image is a function of (seed, prompt, sample) alone, so models, batch sizes and orders of the
prompts can be compared image by image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tastemaker.base import draw
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from diffusers import SchedulerMixin
    from PIL.Image import Image
    from torch import Tensor

    from tastemaker.backbone.backbone import Backbone

SchedulerName = Literal["ddim", "own"]
"""``ddim`` is the deterministic sampler, ``own`` the scheduler saved with the model.

DDIM with η = 0 (Song et al. 2020, arXiv:2010.02502, eq. 12) goes from t to s by x_s = α_s x0 + σ_s ε, with x0 and ε as
predicted at t. On a rectified flow that is the Euler step x_s = x_t + (σ_s − σ_t) (ε − x0), so one name does for both.
"""


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


@dataclass(frozen=True)
class Sampler:
    """A backbone's diffusers pipeline with all that an image depends on but its `Job`."""

    backbone: Backbone
    pipeline: Any
    shape: tuple[int, int, int]
    """(C, H, W) of a latent."""
    seed: int
    steps: int
    guidance: float


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

    The rest is as in `sampler`.
    """
    ready = sampler(backbone, scheduler, resolution=resolution, seed=seed, steps=steps, guidance=guidance)
    for batch in batches(jobs(prompts, samples), batch_size):
        yield from draw_batch(ready, batch)


def sampler(
    backbone: Backbone, scheduler: SchedulerName, *, resolution: int | None, seed: int, steps: int, guidance: float
) -> Sampler:
    """The backbone's pipeline made ready: the chosen scheduler, and no progress bar of its own.

    ``guidance`` is the classifier-free guidance scale (Ho & Salimans 2022, arXiv:2207.12598); at 1 or below a step is
    one forward pass. A model that was distilled from guided sampling (Flux dev) is told it instead, and a step is
    always one forward pass. ``resolution`` is the side in pixels, by default the model's own.

    Raises `UserError` when the model's noise process has less than ``steps`` steps, or cannot have ``resolution``.
    """
    pipeline: Any = backbone.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    if scheduler == "ddim":
        pipeline.scheduler = deterministic(backbone)
    if steps > (most := backbone.schedule.steps):
        raise UserError(f"{steps} denoising steps: this model's noise process has {most}; give at most that")
    shape = backbone.latent_shape(resolution or backbone.resolution)
    return Sampler(backbone, pipeline, shape, seed, steps, guidance)


def deterministic(backbone: Backbone) -> SchedulerMixin:
    """The scheduler called ``ddim``, over the noise process that the model was saved with.

    Predicted clean latents are not clipped: DDIM clips to [−1, 1] where the saved scheduler does not speak of it, which
    is for pixels. A process that ends without signal is sampled from its very last step, which the usual spacing leaves
    out (Lin et al. 2023, arXiv:2305.08891, section 3.3).
    """
    from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

    from tastemaker.backbone.parts import ends_without_signal

    config = backbone.pipeline().scheduler.config
    if backbone.head == "flow":
        return FlowMatchEulerDiscreteScheduler.from_config(config, stochastic_sampling=False)
    spacing = {"timestep_spacing": "trailing"} if ends_without_signal(backbone.schedule) else {}
    return DDIMScheduler.from_config(config, clip_sample=False, thresholding=False, **spacing)


def draw_batch(sampler: Sampler, batch: Sequence[Job]) -> list[Image]:
    """Run the pipeline once for ``batch``; noise that the scheduler itself draws is keyed like the initial noise."""
    import torch

    from tastemaker.backbone.parts import number_format

    backbone, pipeline, seed = sampler.backbone, sampler.pipeline, sampler.seed
    noise = initial_noise(batch, sampler.shape, seed).to(backbone.device, number_format(backbone.denoiser))
    step_noise = [torch.Generator().manual_seed(draw.seed(seed, "steps", job.prompt, job.sample)) for job in batch]
    with torch.inference_mode():
        result = pipeline(
            prompt=[job.prompt for job in batch],
            latents=backbone.pack(noise),
            generator=step_noise,
            num_inference_steps=sampler.steps,
            guidance_scale=sampler.guidance,
            height=sampler.shape[-2] * pipeline.vae_scale_factor,
            width=sampler.shape[-1] * pipeline.vae_scale_factor,
        )
    images: list[Image] = result.images
    return images
