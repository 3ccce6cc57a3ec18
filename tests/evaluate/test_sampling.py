"""An image is a function of seed, prompt and sample: the noise it begins with, the scheduler's, the batch."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from support.generated import FAST, PROMPTS, drawn
from tastemaker.backbone.load import load
from tastemaker.base import draw
from tastemaker.evaluate import sampling


def test_noise_is_a_function_of_seed_prompt_and_sample() -> None:
    work = sampling.jobs(["a", "b"], 2)
    noise = sampling.initial_noise(work, (4, 8, 8), seed=5)
    alone = sampling.initial_noise([sampling.Job(7, "b", 1)], (4, 8, 8), seed=5)
    assert torch.equal(noise[3], alone[0])
    assert torch.equal(noise[3], draw.normal((4, 8, 8), 5, "initial", "b", 1))
    assert torch.equal(noise[[3, 1, 2]], sampling.initial_noise([work[i] for i in (3, 1, 2)], (4, 8, 8), seed=5))
    assert len({float(row[0, 0, 0]) for row in noise}) == 4
    assert not torch.equal(noise, sampling.initial_noise(work, (4, 8, 8), seed=6))


def test_no_device_enters_the_draw_of_the_initial_noise() -> None:
    """The same numbers on the CPU whatever torch's default device is and whatever its generators have drawn before."""
    work = sampling.jobs(["a", "b"], 2)
    noise = sampling.initial_noise(work, (4, 8, 8), seed=5)
    torch.manual_seed(77)
    with torch.device("meta"):
        again = sampling.initial_noise(work, (4, 8, 8), seed=5)
    assert (again.device.type, again.dtype) == ("cpu", torch.float32)
    assert torch.equal(noise, again)


def test_a_model_on_another_device_is_given_the_noise_of_the_cpu(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, seen = load(model), []

    def noise(*key: Any) -> torch.Tensor:
        seen.append(real(*key))
        return seen[-1]

    def pipeline(latents: torch.Tensor, **_: Any) -> SimpleNamespace:
        seen.append(latents)
        return SimpleNamespace(images=[])

    pipeline.vae_scale_factor = 4
    real = sampling.initial_noise
    monkeypatch.setattr(sampling, "initial_noise", noise)
    elsewhere = SimpleNamespace(device=torch.device("meta"), denoiser=backbone.denoiser, pack=backbone.pack)
    sampling.draw_batch(sampling.Sampler(elsewhere, pipeline, (4, 8, 8), 3, 2, 1.0), sampling.jobs(["a", "b"], 1))
    drawn, given = seen
    assert (drawn.device.type, given.device.type) == ("cpu", "meta")
    assert torch.equal(drawn, torch.stack([draw.normal((4, 8, 8), 3, "initial", prompt, 0) for prompt in "ab"]))


def test_noise_of_the_scheduler_depends_on_seed_prompt_and_sample_alone(model: Path) -> None:
    """The generators that a stochastic scheduler draws from: alone or in a batch, at any place in the list."""
    backbone, seeds = load(model), []

    def pipeline(generator: list[torch.Generator], **_: Any) -> SimpleNamespace:
        seeds.append([one.initial_seed() for one in generator])
        return SimpleNamespace(images=[])

    pipeline.vae_scale_factor = 4
    ready = sampling.Sampler(backbone, pipeline, (4, 8, 8), 3, 2, 1.0)
    sampling.draw_batch(ready, sampling.jobs(["a", "b"], 2))
    sampling.draw_batch(ready, [sampling.Job(7, "b", 1)])
    assert seeds == [[draw.seed(3, "steps", prompt, sample) for prompt in "ab" for sample in (0, 1)], seeds[0][3:]]
    assert len(set(seeds[0])) == 4


@pytest.mark.parametrize("scheduler", ["ddim", "own"])
def test_an_image_depends_on_seed_prompt_and_sample_alone(model: Path, tmp_path: Path, scheduler: str) -> None:
    """Not on batch size, order, the other prompts or the number of samples; one grey level is float rounding."""
    settings = FAST | {"scheduler": scheduler}
    whole = drawn(model, PROMPTS[:3], tmp_path / "one", settings | {"batch_size": 1, "samples": 2})
    for name, prompts, others in (
        ("batches", PROMPTS[:3], {"batch_size": 4, "samples": 2}),
        ("turned", PROMPTS[2::-1], {"batch_size": 3, "samples": 2}),
        ("some", [PROMPTS[2], PROMPTS[0]], {"samples": 1}),
        ("limited", PROMPTS, {"limit": 2, "samples": 2}),
    ):
        found = drawn(model, prompts, tmp_path / name, settings | others)
        assert found.keys() <= whole.keys()
        for key, image in found.items():
            assert np.abs(image - whole[key]).max() <= 1, (name, key)
    for one, two in itertools.pairwise(whole.values()):
        assert np.abs(one - two).max() > 10
    other = drawn(model, PROMPTS[:1], tmp_path / "seed", settings | {"seed": 1})
    assert np.abs(other[PROMPTS[0], 0] - whole[PROMPTS[0], 0]).max() > 10


def test_without_guidance_a_step_is_one_forward(model: Path) -> None:
    backbone = load(model)
    rows: list[int] = []
    backbone.denoiser.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    list(sampling.sample(backbone, PROMPTS[:2], steps=2, guidance=1.0))
    assert rows == [2, 2]
    list(sampling.sample(backbone, PROMPTS[:2], steps=2, guidance=2.0))
    assert rows == [2, 2, 4, 4]
