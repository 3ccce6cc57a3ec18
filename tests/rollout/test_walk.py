"""The walk: where it goes, that it is diffusers' own, and that what is kept is what happened."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from support.tiny import TINY
from tastemaker.backbone.guidance import guided
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError
from tastemaker.rollout.config import Rollout
from tastemaker.rollout.grid import make_grid
from tastemaker.rollout.sampling import make_sampler, prompts_at
from tastemaker.rollout.walk import walk

KINDS = ["sd1", "sd2-zero-snr", "sdxl", "sd3", "flux"]
SMALL = {"flux": 32}
"""A side in pixels, where the model's own would take too long."""


@pytest.fixture(scope="module", params=KINDS)
def each(request, tmp_path_factory):
    """(kind, backbone)."""
    return request.param, load(TINY[request.param].save(tmp_path_factory.mktemp(request.param) / "model"))


@pytest.fixture(scope="module")
def sd(tmp_path_factory):
    return load(TINY["sd1"].save(tmp_path_factory.mktemp("sd") / "model"))


def settings(kind="sd1", **changes):
    base = {"prompts": "prompts.txt", "images": 3, "steps": 4, "guidance": 2.0, "resolution": SMALL.get(kind)}
    return Rollout(**base | changes)


def test_what_is_kept_is_what_the_policy_says_of_what_happened(each):
    """log π of the kept latents, asked again in the same batch, to the bit; only a last step may be a point mass."""
    kind, backbone = each
    sampler = make_sampler(backbone, settings(kind), seed=1)
    conditions = sampler.conditions(["a red circle"])
    kept, _ = sampler.draw([0], conditions)
    rows = {name: values.repeat_interleave(3, 0) for name, values in conditions.items()}
    for j in sampler.policy.grid.actions.tolist():
        with torch.no_grad():
            step = sampler.policy(kept.latents[:, j], torch.full((3,), j), rows)
        assert torch.equal(step.log_prob(kept.latents[:, j + 1].to(step.mean.device)).cpu(), kept.log_prob[:, j])
    assert kept.latents.shape == (3, 5, *sampler.shape)
    assert kept.log_prob.isfinite().all()
    ends_clean = kind in ("sdxl", "sd3", "flux")  # at no noise at all; the others end at ᾱ_0
    assert sampler.policy.grid.steps - len(sampler.policy.grid.actions) == ends_clean


def test_images_of_a_prompt_start_alike_and_part(each):
    kind, backbone = each
    sampler = make_sampler(backbone, settings(kind), seed=1)
    kept, pngs = sampler.draw([0], sampler.conditions(["a red circle"]))
    assert torch.equal(kept.latents[0, 0], kept.latents[1, 0])
    assert not torch.equal(kept.latents[0, 1], kept.latents[1, 1])
    assert len(set(pngs)) == 3


def test_a_walk_is_diffusers_own(sd):
    """The pipeline with DDIM, η = 1 and the same noise, guidance included, draws the same latents."""
    sampler = make_sampler(sd, settings(images=2), seed=3)
    kept, _ = sampler.draw([5], sampler.conditions(["a blue square"]))
    pipeline = sd.pipeline()
    assert isinstance(pipeline, StableDiffusionPipeline)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    pipeline.set_progress_bar_config(disable=True)
    drawn = iter([sampler_noise(sampler, 5, j) for j in range(4)])
    whole = pipeline.scheduler.step

    def step(output, t, x, **_):
        return whole(output, t, x, eta=1.0, variance_noise=next(drawn), return_dict=False)

    pipeline.scheduler.step = step
    result = pipeline(
        ["a blue square"] * 2,
        latents=kept.latents[:, 0],
        num_inference_steps=4,
        guidance_scale=2.0,
        output_type="latent",
    )
    torch.testing.assert_close(result.images, kept.latents[:, -1], rtol=1e-3, atol=1e-3)


def sampler_noise(sampler, position, j):
    from tastemaker.base import draw

    return torch.stack([draw.normal(sampler.shape, sampler.seed, "walk step", position, s, j) for s in range(2)])


def test_an_image_depends_on_its_place_and_not_on_its_batch(sd):
    one, two = (make_sampler(sd, settings(prompts_at_once=size), seed=1) for size in (1, 2))
    texts = ["a red circle", "a blue square"]
    both, _ = two.draw([4, 5], two.conditions(texts))
    each = [one.draw([4 + at], one.conditions([texts[at]]))[0] for at in range(2)]
    torch.testing.assert_close(both.latents, torch.cat([kept.latents for kept in each]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_latent_is_rounded_before_it_is_stepped_from_and_scored(sd, dtype):
    """Otherwise the kept log-density would belong to another sample, and the ratio would not be 1."""
    sampler = make_sampler(sd, settings(dtype=dtype), seed=1)
    conditions = sampler.conditions(["a red circle"])
    kept, _ = sampler.draw([0], conditions)
    assert kept.latents.dtype == getattr(torch, dtype)
    rows = {name: values.repeat_interleave(3, 0) for name, values in conditions.items()}
    for j in range(4):
        with torch.no_grad():
            step = sampler.policy(kept.latents[:, j].float(), torch.full((3,), j), rows)
        assert torch.equal(step.log_prob(kept.latents[:, j + 1]), kept.log_prob[:, j])


def test_a_smaller_eta_keeps_the_images_together(sd):
    spread = []
    for eta in (0.1, 1.0):
        sampler = make_sampler(sd, settings(eta=eta), seed=1)
        kept, _ = sampler.draw([0], sampler.conditions(["a red circle"]))
        spread.append(float(kept.latents[:, -1].std(0).mean()))
    assert spread[0] < spread[1] / 2


def test_guidance_is_one_batch_of_both_prompts(sd):
    """p_∅ + s (p_c − p_∅), and at scale 1 the prompt alone, bit for bit."""
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 700])
    condition, empty = sd.condition(["a red circle", "a blue square"]), sd.condition([""])
    prompted = sd.forward(x, t, condition)
    unprompted = sd.forward(x, t, {"embeds": empty["embeds"].expand(2, -1, -1)})
    found = guided(sd, x, t, condition, empty, 3.0)
    expected = unprompted.output + 3 * (prompted.output - unprompted.output)
    torch.testing.assert_close(found.output, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(guided(sd, x, t, condition, empty, 1.0).output, prompted.output)
    assert found.x_t is x
    assert torch.equal(found.alpha, prompted.alpha)


def test_a_distilled_model_is_told_the_scale(tmp_path, monkeypatch):
    backbone = load(TINY["flux"].save(tmp_path / "model"))
    assert backbone.distilled
    told = []
    whole = backbone.denoiser.forward
    monkeypatch.setattr(
        backbone.denoiser, "forward", lambda **named: told.append(named["guidance"].tolist()) or whole(**named)
    )
    x, condition = torch.randn(2, 16, 4, 4), backbone.condition(["a", "b"])
    guided(backbone, x, torch.tensor([5, 900]), condition, backbone.condition([""]), 3.5)
    backbone.forward(x, torch.tensor([5, 900]), condition)
    assert told == [[3.5, 3.5], [1.0, 1.0]]


def test_the_grid_is_the_samplers_own(each):
    kind, backbone = each
    grid = make_grid(backbone, 5, 1.0, (8, 8))
    assert (grid.t[:-1] > grid.t[1:]).all()
    assert (grid.alpha.diff() > 0).all(), "ever more signal"
    if kind == "sd1":
        assert grid.t.tolist() == [801, 601, 401, 201, 1]
    if kind == "sd2-zero-snr":
        assert grid.t[0] == 999, "from the step without signal"


def test_more_steps_than_there_are_is_refused(sd):
    with pytest.raises(UserError, match=r"rollout.steps: 1001: this model's noise process has 1000"):
        make_grid(sd, 1001, 1.0, (8, 8))


def test_prompts_are_read_again_and_again_in_other_orders():
    """Every epoch holds each prompt once, and a position's prompt does not depend on where the reading begins."""
    prompts = [f"prompt {number}" for number in range(5)]
    found = prompts_at(prompts, 0, 0, 15)
    epochs = [found[at : at + 5] for at in (0, 5, 10)]
    assert all(sorted(epoch) == prompts for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert prompts_at(prompts, 0, 7, 4) == found[7:11]
    assert prompts_at(prompts, 1, 0, 15) != found


def test_a_walk_keeps_no_graph(sd):
    sampler = make_sampler(sd, settings(), seed=1)
    condition = {name: rows.repeat_interleave(2, 0) for name, rows in sampler.conditions(["a"]).items()}
    sd.denoiser.requires_grad_(True)
    try:
        kept = walk(
            sampler.policy,
            torch.randn(2, *sampler.shape),
            condition,
            lambda _: torch.zeros(2, *sampler.shape),
            torch.float32,
        )
    finally:
        sd.denoiser.requires_grad_(False)
    assert not kept.log_prob.requires_grad
