"""The step where all meet: the invariants of a pair, on a tiny Stable Diffusion."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from support.keyed import PAIRS, SEED, SINGLES, FakeCache, batch_of, pair
from support.models import save_tiny_sd
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.load import load
from tastemaker.method.memory import Memory
from tastemaker.method.method import Credit, Method
from tastemaker.method.pairwise import Logistic
from tastemaker.method.pointwise import Pointwise, Sft
from tastemaker.method.when import Range
from tastemaker.process.prediction import Prediction
from tastemaker.train.step import Outcome
from tastemaker.train.step import step as judge

CHOICES = [Lora(rank=4), Full()]
HEADS = ["epsilon", "v_prediction"]


def step(backbone, trainable, batch, method, seed=SEED, memory=None) -> Outcome:
    """One step with an empty memory."""
    memory = memory or Memory(method, backbone.schedule, backbone.head, backbone.device)
    return judge(backbone, trainable, batch, method, memory, seed)


@pytest.fixture(scope="module", params=HEADS)
def folder(request, tmp_path_factory):
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "model", prediction_type=request.param)


@pytest.fixture(params=CHOICES, ids=lambda choice: choice.kind)
def model(request, folder):
    """(backbone, trainable) before the first update."""
    backbone = load(folder)
    return backbone, attach(backbone, request.param, seed=0)


@pytest.fixture
def trained(model):
    """(backbone, trainable) after two updates, so that policy and reference differ."""
    backbone, trainable = model
    optimizer = torch.optim.SGD(trainable.parameters.values(), lr=1.0)
    for visit in range(2):
        step(backbone, trainable, batch_of(PAIRS, [visit] * 4), Method(link=Sft()), SEED).loss.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return backbone, trainable


def test_before_the_first_update_every_margin_is_exactly_zero(model):
    outcome = step(*model, batch_of(PAIRS), Method(), SEED)
    assert outcome.stats["margin"].tolist() == [0.0] * 4
    assert outcome.stats["accuracy"].tolist() == [0.5] * 4
    assert torch.equal(outcome.loss, torch.full((4,), math.log(2)))


def test_the_first_gradient_lowers_the_winners_error_against_the_losers(model):
    """At margin 0, ∇L = β/4 · ∇(e_w − e_l), exactly DPO's first step."""
    backbone, trainable = model
    outcome = step(backbone, trainable, batch_of(PAIRS), Method(), SEED)
    gradients = torch.autograd.grad(outcome.loss.sum(), trainable.parameters.values())
    winners = step(backbone, trainable, batch_of(PAIRS), Method(link=Sft()), SEED).loss
    exchanged = replace(batch_of(PAIRS), winner=batch_of(PAIRS).loser)
    losers = step(backbone, trainable, exchanged, Method(link=Sft()), SEED).loss
    expected = torch.autograd.grad((500 * (winners - losers)).sum(), trainable.parameters.values())
    assert any(gradient.any() for gradient in gradients)
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()) + 1e-6)


def test_a_pair_of_an_image_with_itself_is_exactly_log_two(trained):
    same = [pair(number, winner="one", loser="one") for number in range(5)]
    outcome = step(*trained, batch_of(same), Method(), SEED)
    assert torch.equal(outcome.loss, torch.full((5,), math.log(2)))


def test_the_margin_is_the_difference_of_the_reported_errors(trained):
    stats = step(*trained, batch_of(PAIRS), Method(), SEED).stats
    rho_w = stats["reference_error_winner"] - stats["error_winner"]
    rho_l = stats["reference_error_loser"] - stats["error_loser"]
    assert (stats["margin"] != 0).all()
    assert torch.equal(stats["margin"], rho_w - rho_l)
    assert torch.equal(stats["accuracy"], (stats["margin"] > 0).float())
    assert not any(value.requires_grad for value in stats.values())


def test_exchanging_winner_and_loser_negates_the_margin(trained):
    batch = batch_of(PAIRS)
    forward = step(*trained, batch, Method(), SEED).stats["margin"]
    backward = step(*trained, replace(batch, winner=batch.loser, loser=batch.winner), Method(), SEED).stats["margin"]
    torch.testing.assert_close(backward, -forward, rtol=1e-3, atol=1e-7)


def test_a_swapped_or_reordered_dataset_gives_the_same_losses(trained):
    """(a, b, "a") and (b, a, "b") are one pair; its place in the batch does not matter either."""
    from tastemaker.data.comparison import Comparison

    comparisons = [Comparison(f"id-{n}", f"prompt {n}", f"a-{n}", f"b-{n}", "ab"[n % 2]) for n in range(4)]

    def pair_of(comparison):
        images = (comparison.image_a, comparison.image_b)
        winner, loser = images if comparison.label == "a" else images[::-1]
        return replace(pair(0, winner, loser), pair_id=comparison.pair_id, prompt_sha=comparison.prompt_sha)

    plain = step(*trained, batch_of([pair_of(c) for c in comparisons]), Method(), SEED).loss
    swapped = step(*trained, batch_of([pair_of(c.swap()) for c in comparisons]), Method(), SEED).loss
    reordered = step(*trained, batch_of([pair_of(c) for c in comparisons[::-1]]), Method(), SEED).loss
    assert torch.equal(plain, swapped)
    torch.testing.assert_close(reordered.flip(0), plain, rtol=1e-4, atol=1e-6)


def test_a_pair_alone_sees_what_it_sees_among_others(trained):
    """Its step exactly; its errors up to the rounding of differently shaped products."""
    together = step(*trained, batch_of(PAIRS), Method(), SEED).stats
    alone = [step(*trained, batch_of([one]), Method(), SEED).stats for one in PAIRS]
    assert together["t"].tolist() == [float(stats["t"]) for stats in alone]
    for name in ("error_winner", "error_loser", "reference_error_winner", "margin"):
        torch.testing.assert_close(torch.cat([stats[name] for stats in alone]), together[name], rtol=0, atol=2e-6)


def test_sft_runs_the_winners_once_and_no_reference(trained):
    backbone, trainable = trained
    rows = []
    backbone.denoiser.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    outcome = step(backbone, trainable, batch_of(PAIRS), Method(link=Sft()), SEED)
    assert rows == [4]
    assert torch.equal(outcome.loss.detach(), outcome.stats["error_winner"])
    assert set(outcome.stats) == {"t", "error_winner"}


def test_dpo_runs_winners_and_losers_as_one_batch_for_policy_and_reference(folder):
    backbone = load(folder)
    trainable = attach(backbone, Lora(rank=4), seed=0)
    calls = []
    backbone.denoiser.register_forward_pre_hook(lambda _, args: calls.append((args[0], torch.is_grad_enabled())))
    step(backbone, trainable, batch_of(PAIRS), Method(), SEED)
    (policy, policy_grad), (reference, reference_grad) = calls
    assert (policy_grad, reference_grad) == (True, False)
    assert len(policy) == 8
    assert torch.equal(policy, reference)


def test_the_noised_latents_share_step_and_noise_inside_a_pair(folder, monkeypatch):
    """Winner minus loser is α_t (x0_w − x0_l): the noise has gone."""
    backbone = load(folder)
    seen = {}

    def forward(x_t, t, condition):
        seen.update(x_t=x_t, t=t)
        alpha, sigma = backbone.schedule.levels(t)
        return Prediction(x_t, x_t, alpha, sigma, "eps")

    monkeypatch.setattr(backbone, "forward", forward)
    batch = batch_of(PAIRS)
    step(backbone, attach(backbone, Lora(rank=4), seed=0), batch, Method(), SEED)
    (x_w, x_l), (t_w, t_l) = seen["x_t"].chunk(2), seen["t"].chunk(2)
    alpha = backbone.schedule.levels(t_w)[0].view(-1, 1, 1, 1)
    assert torch.equal(t_w, t_l)
    torch.testing.assert_close(x_w - x_l, alpha * (batch.winner.x0 - batch.loser.x0))
    assert len(set(t_w.tolist())) == 4


def test_the_range_reaches_the_step(folder):
    backbone = load(folder)
    method = Method(credit=Credit(when=Range(low=0.2, high=0.3)))
    t = step(backbone, attach(backbone, Lora(rank=4), seed=0), batch_of(PAIRS), method, SEED).stats["t"]
    assert ((t >= 200) & (t < 300)).all()


def test_beta_reaches_the_link(trained):
    outcome = step(*trained, batch_of(PAIRS), Method(link=Logistic(beta=10)), SEED)
    torch.testing.assert_close(outcome.loss, torch.nn.functional.softplus(-5 * outcome.stats["margin"]))


def test_single_images_are_judged_by_their_own_sign(trained):
    """KTO from a liked and a disliked image: the loss is that of the formula, on the errors that are reported."""
    outcome = step(*trained, batch_of(SINGLES), Method(link=Pointwise(beta=50)))
    rho = outcome.stats["reference_error_image"] - outcome.stats["error_image"]
    sign = torch.tensor([1.0, -1.0])
    torch.testing.assert_close(outcome.loss.detach(), 1 - torch.sigmoid(sign * 50 * rho))
    assert torch.equal(outcome.stats["margin"], sign * rho)


def test_a_single_image_sees_the_draws_of_its_key_whatever_its_sign(trained):
    """A liked image and the same one disliked differ in the sign of ρ alone."""
    liked = replace(pair(0), loser=None)
    disliked = replace(liked, winner=None, loser=liked.winner)
    rho = [step(*trained, batch_of([one]), Method(link=Pointwise())).stats["margin"] for one in (liked, disliked)]
    assert torch.equal(rho[0], -rho[1])


def test_every_image_tells_its_own_size(trained):
    """SDXL reads them: winners' rows first, then losers', each from its own image."""
    images = batch_of(PAIRS).images(losers=True)
    cache = FakeCache()
    expected = cache.time_ids([*(one.winner for one in PAIRS), *(one.loser for one in PAIRS)])
    assert torch.equal(images.condition["time_ids"], expected)
    assert images.side.tolist() == [0] * 4 + [1] * 4
    assert batch_of(PAIRS).images(losers=False).side.tolist() == [0] * 4
    assert batch_of(SINGLES).images(losers=True).side.tolist() == [0, 1]
