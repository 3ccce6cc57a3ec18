"""DDE's stepwise part: λ from the Gaussians themselves, the record by hand, C(t) by brute force and on a model."""

from __future__ import annotations

import pytest
import torch

from support.batches import batch as batch_of
from support.definitions import log_ratio, mean_square, sd15_alpha_bar, target, zero_terminal
from support.models import LATENT_SHAPE, TEXT_SHAPE, save_tiny_sd
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full
from tastemaker.backbone.load import load
from tastemaker.base import draw
from tastemaker.method.memory import Memory
from tastemaker.method.method import Credit, Method
from tastemaker.method.stepwise import Record, Stepwise, ratio_weight
from tastemaker.method.when import Range
from tastemaker.process.schedule import Schedule, rectified_flow, variance_preserving
from tastemaker.train.step import step as judge

CPU = torch.device("cpu")
SD15 = variance_preserving(sd15_alpha_bar())
ZERO = variance_preserving(zero_terminal(sd15_alpha_bar()))
FLOW = rectified_flow(torch.arange(1, 1001, dtype=torch.float64) / 1000)
MODELS = [("eps", SD15), ("v", SD15), ("x0", SD15), ("v", ZERO), ("x0", ZERO), ("flow", FLOW)]
NAMES = ["eps", "v", "x0", "v-zero-snr", "x0-zero-snr", "flow"]


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("k", [1, 2, 355, 998, 999])
@pytest.mark.parametrize(("head", "schedule"), MODELS, ids=NAMES)
def test_lambda_is_the_log_ratio_of_the_gaussians(head, schedule, k):
    """−λ_k e_k = log p_θ(μ̃ | x_k) − log q(μ̃ | x_k, x0), both N(·, β̃_k I), of random latents and a random output."""
    x0, eps, said = random(3, 4, 6, 6, seed=k)
    error = mean_square(said, target(head, x0, eps, float(schedule.alpha[k]), float(schedule.sigma[k])))
    found = -ratio_weight(schedule, head)[k] * error
    torch.testing.assert_close(found, log_ratio(schedule, head, k, x0, eps, said), rtol=1e-6, atol=0)


def test_lambda_of_epsilon_in_closed_form():
    """β_k / (2 α_k (1 − ᾱ_{k−1})), with the paper's α_k = ᾱ_k / ᾱ_{k−1} and β_k = 1 − α_k."""
    bar = sd15_alpha_bar()
    alpha = bar[1:] / bar[:-1]
    torch.testing.assert_close(
        ratio_weight(SD15, "eps")[1:], (1 - alpha) / (2 * alpha * (1 - bar[:-1])), rtol=1e-8, atol=0
    )


def test_lambda_by_hand():
    """ᾱ = 0.8, 0.5: SNR 4 and 1. λ_1 = ½ · 3 = 1.5 for ε and x0 (σ/α = 1), 0.75 for v (σ² = ½); λ_0 is never needed."""
    schedule = variance_preserving(torch.tensor([0.8, 0.5], dtype=torch.float64))
    assert ratio_weight(schedule, "eps").tolist() == pytest.approx([0, 1.5])
    assert ratio_weight(schedule, "x0").tolist() == pytest.approx([0, 1.5])
    assert ratio_weight(schedule, "v").tolist() == pytest.approx([0, 0.75])


def test_a_flow_model_has_the_lambda_of_its_variance_preserving_twin():
    """x/√(α² + σ²) has the same SNR, so the same log-ratio of the same x0 error: λ of x0 agrees on both."""
    length = (FLOW.alpha.square() + FLOW.sigma.square()).sqrt()
    twin = variance_preserving((FLOW.alpha / length).square())
    torch.testing.assert_close(ratio_weight(FLOW, "x0"), ratio_weight(twin, "x0"), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        ratio_weight(FLOW, "flow"), ratio_weight(twin, "x0") * FLOW.sigma.square(), rtol=1e-9, atol=1e-12
    )


def test_lambda_is_infinite_only_where_epsilon_says_nothing_of_x0():
    assert ratio_weight(ZERO, "v").isfinite().all()
    assert ratio_weight(ZERO, "eps").isfinite().sum() == 999
    for head, schedule in MODELS:
        assert (ratio_weight(schedule, head)[1:] > 0).all()


# The record. λ = ½ (SNR_{k−1} − SNR_k) for an x0 head: SNR 9, 4, 1, 0.25 give λ = 0, 2.5, 1.5, 0.375.

SHORT = variance_preserving(torch.tensor([0.9, 0.8, 0.5, 0.2], dtype=torch.float64))
LAMBDA = [0, 2.5, 1.5, 0.375]


def record(decay=0.5, scale=1.0):
    return Record(Stepwise(decay=decay, scale=scale), SHORT, "x0", CPU)


def observe(target, t, error, role=0, side=0):
    """One image, or several at equal lengths."""
    steps = torch.tensor(t if isinstance(t, list) else [t])
    errors = torch.tensor(error if isinstance(error, list) else [error])
    target.observe(role, torch.full_like(steps, side), steps, errors)


def alone(total):
    return total


def corrections(found, role=0, side=0):
    steps = torch.arange(4)
    return found.correction(role, torch.full_like(steps, side), steps).tolist()


def test_a_first_visit_assigns_and_later_ones_decay_by_optimizer_steps():
    """Decay ½. Step 0: log r_2 = −1.5 · 2 = −3. Step 3, three later: kept ⅛, so ⅛ (−3) + ⅞ (−1.5) = −1.6875.

    Step 4, one later: ½ (−1.6875) + ½ (−6) = −3.84375.
    """
    found = record()
    for step, error, value in ((0, 2.0, -3.0), (3, 1.0, -1.6875), (4, 4.0, -3.84375)):
        observe(found, 2, error)
        found.commit(step, alone)
        assert found.values[0, 0].tolist() == [0, 0, value, 0]
    assert found.visits[0, 0].tolist() == [0, 0, 3, 0]
    assert found.last[0, 0].tolist() == [-1, -1, 4, -1]


def test_steps_without_a_visit_leave_an_entry_alone():
    found = record()
    observe(found, 1, 1.0)
    found.commit(0, alone)
    for step in (1, 2, 3):
        found.commit(step, alone)
    assert found.values[0, 0].tolist() == [0, -2.5, 0, 0]
    assert found.last[0, 0].tolist() == [-1, 0, -1, -1]


def test_several_visits_in_one_step_count_as_their_mean():
    """Errors 1 and 3 in one micro-batch, 5 in the next: mean 3, log r = −4.5; and the entry decays once, not thrice."""
    found = record()
    observe(found, 2, [2.0])
    found.commit(0, alone)
    observe(found, [2, 2], [1.0, 3.0])
    observe(found, 2, 5.0)
    found.commit(1, alone)
    assert found.values[0, 0].tolist() == [0, 0, pytest.approx(0.5 * -3 + 0.5 * -4.5), 0]
    assert found.visits[0, 0].tolist() == [0, 0, 4, 0]


def test_roles_and_sides_are_kept_apart():
    found = record()
    for role in (0, 1):
        for side in (0, 1):
            observe(found, 3, float(1 + 2 * role + side), role, side)
    found.commit(0, alone)
    torch.testing.assert_close(found.values[..., 3].flatten(), -0.375 * torch.tensor([1.0, 2, 3, 4]))
    assert [corrections(found, role, side)[0] for role in (0, 1) for side in (0, 1)] == [-0.375, -0.75, -1.125, -1.5]


def test_nothing_counts_before_it_is_committed_and_discard_forgets_it():
    found = record()
    observe(found, 2, 1.0)
    assert corrections(found) == [0, 0, 0, 0]
    found.discard()
    found.commit(0, alone)
    assert found.values.abs().sum() == 0
    assert found.visits.sum() == 0
    assert (found.last == -1).all()


def test_the_correction_sums_what_is_noisier_and_not_the_step_itself():
    """log r = 0, −2.5, −3, −1.125 of errors 1, 1, 2, 3: C = −6.625, −4.125, −1.125, 0."""
    found = record()
    observe(found, [0, 1, 2, 3], [1.0, 1.0, 2.0, 3.0])
    found.commit(0, alone)
    assert corrections(found) == [-6.625, -4.125, -1.125, 0]
    observe(found, 3, 1.0, side=1)
    assert corrections(found, side=1) == [0, 0, 0, 0]


def test_the_correction_is_a_double_loop_over_all_later_steps():
    """Random errors, each role and side, κ = 0.3."""
    schedule = Schedule(SD15.alpha[::20], SD15.sigma[::20])
    found = Record(Stepwise(scale=0.3), schedule, "v", CPU)
    steps = torch.arange(schedule.steps)
    error = torch.rand(2, 2, schedule.steps, generator=torch.Generator().manual_seed(0))
    for role in (0, 1):
        for side in (0, 1):
            found.observe(role, torch.full_like(steps, side), steps, error[role, side])
    found.commit(0, alone)
    weight = ratio_weight(schedule, "v")
    for role in (0, 1):
        for side in (0, 1):
            value = found.correction(role, torch.full_like(steps, side), steps)
            for t in range(schedule.steps):
                total = sum(-float(weight[k]) * float(error[role, side, k]) for k in range(t + 1, schedule.steps))
                assert float(value[t]) == pytest.approx(0.3 * total, rel=1e-4)
            assert float(value[-1]) == 0
            assert (value <= 0).all()


def test_the_record_is_not_differentiated():
    found = record()
    error = torch.tensor([1.0], requires_grad=True)
    found.observe(0, torch.tensor([0]), torch.tensor([3]), error)
    found.commit(0, alone)
    assert not found.values.requires_grad
    assert not found.correction(0, torch.tensor([0]), torch.tensor([0])).requires_grad


def test_a_record_comes_back_from_its_tensors_and_goes_on_the_same():
    first = record()
    observe(first, [1, 2, 2], [1.0, 2.0, 3.0])
    first.commit(0, alone)
    second = record()
    second.load({name: value.clone() for name, value in first.tensors().items()})
    assert corrections(second) == corrections(first)
    for found in (first, second):
        observe(found, 2, 7.0)
        found.commit(5, alone)
    for name, value in first.tensors().items():
        assert torch.equal(value, second.tensors()[name]), name


def test_what_a_later_commit_does_leaves_saved_tensors_alone():
    """A checkpoint may be written while training goes on."""
    found = record()
    observe(found, 2, 1.0)
    found.commit(0, alone)
    saved = found.tensors()
    before = {name: value.clone() for name, value in saved.items()}
    observe(found, 2, 3.0)
    found.commit(1, alone)
    assert all(torch.equal(saved[name], before[name]) for name in saved)


def test_two_equal_ranks_are_one():
    """``reduce`` sums over ranks; sums and counts double alike, so the values stay."""
    one, two = record(), record()
    for found, reduce in ((one, alone), (two, lambda total: 2 * total)):
        for step in (0, 4):
            observe(found, [1, 3], [1.0 + step, 2.0])
            found.commit(step, reduce)
    assert torch.equal(one.values, two.values)
    assert torch.equal(2 * one.visits, two.visits)


STEPS = 20


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def tiny(request, tmp_path_factory):
    """(backbone on a schedule of 20 steps, trainable) after an update, so that policy and reference differ."""
    backbone = load(save_tiny_sd(tmp_path_factory.mktemp("sd") / "model", prediction_type=request.param))
    backbone.schedule = Schedule(backbone.schedule.alpha[::50], backbone.schedule.sigma[::50])
    trainable = attach(backbone, Full(), seed=0)
    with torch.no_grad():
        for name, parameter in trainable.parameters.items():
            parameter += 0.05 * draw.normal(tuple(parameter.shape), "update", name)
    return backbone, trainable


def test_the_correction_of_a_tiny_model_is_the_sum_of_its_gaussians(tiny, monkeypatch):
    """One pair is run at every k with one ε; then C(t) must be Σ_{k>t} of log N(μ̃; μ_θ) − log N(μ̃; μ̃) of what the
    network said, for policy and reference, winner and loser."""
    backbone, trainable = tiny
    winner, loser = (draw.normal(LATENT_SHAPE, side)[None] for side in ("winner", "loser"))
    batch = batch_of(["pair"], [0], winner, loser, {"embeds": draw.normal(TEXT_SHAPE, "prompt")[None]})
    eps = draw.normal(LATENT_SHAPE, 3, "noise", "pair", 0).double()
    said = []
    forward = backbone.forward

    def listen(*args):
        said.append(forward(*args))
        return said[-1]

    monkeypatch.setattr(backbone, "forward", listen)
    memory = Memory(Method(credit=Credit(correction=Stepwise())), backbone.schedule, backbone.head, CPU)
    for k in range(STEPS):
        only = Method(credit=Credit(when=Range(low=k / STEPS, high=(k + 1) / STEPS), correction=Stepwise()))
        with torch.no_grad():
            assert judge(backbone, trainable, batch, only, memory, 3).stats["t"].tolist() == [k]
    memory.commit(0)

    for role in (0, 1):
        for side, x0 in enumerate((winner, loser)):
            ratios = [
                log_ratio(
                    backbone.schedule, backbone.head, k, x0[0].double(), eps, said[2 * k + role].output[side].double()
                )
                for k in range(1, STEPS)
            ]
            for t in range(STEPS):
                found = memory.correction(role, torch.tensor([side]), torch.tensor([t]))
                torch.testing.assert_close(found.double(), sum(ratios[t:], torch.zeros(1).double()), rtol=1e-4, atol=0)
    assert not torch.equal(memory.record.values[0], memory.record.values[1])
