"""Training the world's base model from nothing: an autoencoder, then text encoder and denoiser together.

The captions of `MISTAKES` of the denoiser's pictures name one attribute wrongly, as captions of the web do: the base
model learns to err, and alignment has something to mend.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from tastemaker.backbone.load import bars_on_terminals_only
from tastemaker.backbone.stable_diffusion import StableDiffusion
from tastemaker.base.draw import normal, numbers
from tastemaker.base.files import locked, write_json
from tastemaker.base.progress import bar
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.evaluate.contact_sheet import grid
from tastemaker.evaluate.sampling import sample
from tastemaker.process.schedule import Schedule, from_scheduler
from tastemaker.world import captions, models
from tastemaker.world.fit import Fit, Plan, minibatch, parameters_of
from tastemaker.world.render import SIDE, Array, render, to_bytes
from tastemaker.world.scorer import pixels
from tastemaker.world.utility import utilities, verdicts

MISTAKES = 0.27
EMPTY_CAPTIONS = 0.08
"""Share of training captions replaced by the empty one, so that classifier-free guidance works."""
SNR_LIMIT = 5.0
"""γ of the min-SNR weight, min(SNR, γ)/SNR on the ε error (arXiv 2303.09556)."""
SAMPLING_STEPS = 20
WATCHED = 96
"""Captions of the tune split that are drawn at every checkpoint."""
SHOWN = 48
"""Of them on the contact sheet."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """Pictures of the train split [n, 3, SIDE, SIDE] in [−1, 1] and their captions, some of them wrong."""

    pixels: Tensor
    captions: list[str]


def examples(count: int, mistakes: float, seed: int) -> Examples:
    """``count`` rendered scenes of the train split; a share ``mistakes`` shows a scene with one attribute wrong."""
    random = numbers(seed, "examples")
    stream = captions.stream("train", random)
    pixels, texts = np.empty((count, 3, SIDE, SIDE), np.float32), []
    for row in bar(range(count), "draw pictures", unit="picture"):
        scene = next(stream)
        shown = captions.mistake(scene, random) if random.random() < mistakes else scene
        pixels[row] = render(shown, random).transpose(2, 0, 1) * 2 - 1
        texts.append(captions.caption(scene))
    return Examples(torch.from_numpy(pixels), texts)


def train_autoencoder(pipeline: StableDiffusionPipeline, pictures: Tensor, out: Path, plan: Plan) -> None:
    """Squared plus 0.2 · absolute error plus a faint pull of the posterior to N(0, 1); sets the scaling factor."""
    vae = pipeline.vae

    def loss_at(step: int) -> Tensor:
        x = pictures[minibatch(len(pictures), plan, step)]
        posterior = vae.encode(x).latent_dist
        latents = posterior.mean + posterior.std * normal(tuple(posterior.mean.shape), plan.seed, "posterior", step)
        difference = vae.decode(latents).sample - x
        return (
            difference.square().mean()
            + 0.2 * difference.abs().mean()
            + 1e-5 * posterior.kl().mean() / latents[0].numel()
        )

    Fit(out, plan, parameters_of({"vae": vae})).run(loss_at, "autoencoder")
    with torch.no_grad():
        spread = vae.encode(pictures[:1024]).latent_dist.mean.std().item()
    vae.register_to_config(scaling_factor=1.0 / spread)


@torch.no_grad()
def encode_all(pipeline: StableDiffusionPipeline, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the scaled latents of all pictures: [n, 4, 8, 8] each."""
    parts = []
    for rows in bar(pictures.split(256), "encode pictures", unit="batch"):
        posterior = pipeline.vae.encode(rows).latent_dist
        parts.append(torch.stack([posterior.mean, posterior.std]) * pipeline.vae.config.scaling_factor)
    mean, std = torch.cat(parts, dim=1)
    return mean, std


def train_denoiser(pipeline: StableDiffusionPipeline, data: Examples, out: Path, plan: Plan) -> None:
    """ε-prediction with the min-SNR weight; text encoder and denoiser learn together."""
    mean, std = encode_all(pipeline, data.pixels)
    schedule = from_scheduler(pipeline.scheduler)
    tokens = tokenize(pipeline, data.captions)
    nothing = tokenize(pipeline, [""])

    def loss_at(step: int) -> Tensor:
        rows = minibatch(len(mean), plan, step)
        shape = (plan.batch, *mean.shape[1:])
        x0 = mean[rows] + std[rows] * normal(shape, plan.seed, "posterior", step)
        random = numbers(plan.seed, "times", step)
        t = torch.from_numpy(random.integers(schedule.steps, size=plan.batch))
        empty = torch.from_numpy(random.random(plan.batch) < EMPTY_CAPTIONS)[:, None]
        words = pipeline.text_encoder(torch.where(empty, nothing, tokens[rows]))[0]
        return weighted_error(pipeline, schedule, x0, normal(shape, plan.seed, "noise", step), t, words)

    networks = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    Fit(out, plan, parameters_of(networks)).run(loss_at, "denoiser", lambda step: look(pipeline, out, step))


def weighted_error(
    pipeline: StableDiffusionPipeline, schedule: Schedule, x0: Tensor, eps: Tensor, t: Tensor, words: Tensor
) -> Tensor:
    """Mean over the batch of min(SNR, γ)/SNR · ‖ε − ε_θ‖² per latent dimension."""
    snr = schedule.snr(t)
    predicted = pipeline.unet(schedule.noised(x0, eps, t), t, words).sample
    error = (predicted - eps).square().mean(dim=(1, 2, 3))
    return (error * snr.clamp(max=SNR_LIMIT) / snr).float().mean()


def tokenize(pipeline: StableDiffusionPipeline, texts: Sequence[str]) -> Tensor:
    """Token ids padded to the full length: [n, TOKENS]."""
    return pipeline.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt").input_ids


def draw_images(pipeline: StableDiffusionPipeline, texts: Sequence[str], seed: int) -> Array:
    """One image a caption, without guidance: [n, SIDE, SIDE, 3] in [0, 1]."""
    backbone = StableDiffusion(copy.deepcopy(pipeline), lambda: "world")  # a backbone freezes its weights
    images = sample(backbone, texts, seed=seed, steps=SAMPLING_STEPS, guidance=1.0, batch_size=64)
    return np.stack([pixels(image) for image in images])


def look(pipeline: StableDiffusionPipeline, out: Path, step: int) -> None:
    """Draw captions of the tune split, store a contact sheet and what the images are worth."""
    scenes = captions.draw("tune", WATCHED, seed=0)
    images = draw_images(pipeline, [captions.caption(scene) for scene in scenes], seed=0)
    (out / "samples").mkdir(exist_ok=True)
    worth = {
        "utility": float(utilities(list(images), scenes).mean()),
        "correct": float(verdicts(list(images), scenes).mean()),
    }
    write_json(out / "samples" / f"step-{step:06d}.json", worth)
    sheet = grid([Image.fromarray(to_bytes(image)) for image in images[:SHOWN]], columns=12)
    sheet.save(out / "samples" / f"step-{step:06d}.png")


AUTOENCODER = Plan(steps=3500, batch=32, lr=3e-3, warmup=50, decay=0.99)
DENOISER = Plan(steps=4500, batch=64, lr=1.5e-3, warmup=200, decay=0.998)


def pretrain(
    out: Path,
    *,
    autoencoder: Plan = AUTOENCODER,
    denoiser: Plan = DENOISER,
    pictures: int = 48_000,
    mistakes: float = MISTAKES,
    judged: int = 300,
    seed: int = 0,
) -> dict[str, Any]:
    """Train the base model into ``out/model``; resumable at any point, nothing is done twice."""
    started = time.monotonic()
    settings = {"autoencoder": dataclasses.asdict(autoencoder), "denoiser": dataclasses.asdict(denoiser)}
    mark = fingerprint(**settings, pictures=pictures, mistakes=mistakes, seed=seed)
    with locked(out):
        if done := finished(out, mark):
            return done
        pipeline = models.stable_diffusion(seed)
        data = examples(pictures, mistakes, seed)
        train_autoencoder(pipeline, data.pixels, out / "autoencoder", autoencoder)
        train_denoiser(pipeline, data, out / "denoiser", denoiser)
        save(pipeline, out / "model")
        return finish(out, "world pretrain", started, fingerprint=mark, **settings, **worth(pipeline, judged))


def save(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """A diffusers folder in safetensors; the denoiser in half precision, which is most of the size."""
    pipeline.unet.half()
    with bars_on_terminals_only():
        pipeline.save_pretrained(folder)
    pipeline.unet.float()


def worth(pipeline: StableDiffusionPipeline, count: int) -> dict[str, float]:
    """Utility and share of correct images on held-out captions, beside true renders and their reconstructions."""
    scenes = captions.draw("test", count, seed=1)
    true = np.stack([render(scene, numbers(1, "render", index)) for index, scene in enumerate(scenes)])
    sets = {
        "model": draw_images(pipeline, [captions.caption(scene) for scene in scenes], seed=1),
        "reconstruction": reconstruct(pipeline, true),
        "true": true,
    }
    found = {f"utility_{name}": float(utilities(list(images), scenes).mean()) for name, images in sets.items()}
    return found | {f"correct_{name}": float(verdicts(list(images), scenes).mean()) for name, images in sets.items()}


@torch.no_grad()
def reconstruct(pipeline: StableDiffusionPipeline, images: Array) -> Array:
    """What the autoencoder makes of ``images``: [n, SIDE, SIDE, 3] in [0, 1]."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1
    decoded = pipeline.vae(pixels).sample
    return ((decoded.permute(0, 2, 3, 1) + 1) / 2).clamp(0, 1).numpy()
