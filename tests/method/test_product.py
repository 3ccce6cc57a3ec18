"""Every evidence × credit × link on every head: refused with a reason, or equal to a brute force, value and gradient.

The product is walked by the real `step` on a network that says fixed random numbers, so that the gradient is known with
respect to what it says of winners and losers; a few methods are walked on a tiny Stable Diffusion as well.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from itertools import product
from typing import NamedTuple

import pytest
import torch
from pydantic import ValidationError

from support.batches import batch as batch_of
from support.brute_force import cost, drawn, judged_image, judged_pair, step_of
from support.models import LATENT_SHAPE, TEXT_SHAPE, save_tiny_sd
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full
from tastemaker.backbone.load import load
from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.method.memory import Memory
from tastemaker.method.method import Method
from tastemaker.process.prediction import Prediction
from tastemaker.process.schedule import rectified_flow, variance_preserving
from tastemaker.train.step import step as judge

SEED, T, SHAPE, BASELINE = 5, 12, (2, 2, 2), 0.05
IDS, VISITS = ["one", "two"], [0, 4]
DISLIKED = 1
"""Which of the single images is."""
CPU = torch.device("cpu")

POWER = torch.linspace(0.97, 0.08, T, dtype=torch.float64)
PLAIN, ZERO = variance_preserving(POWER), variance_preserving(torch.cat([POWER[:-1], torch.zeros(1)]))
FLOW = rectified_flow(torch.arange(1, T + 1, dtype=torch.float64) / T)
MODELS = {
    "eps": ("eps", PLAIN),
    "x0": ("x0", PLAIN),
    "v": ("v", PLAIN),
    "flow": ("flow", FLOW),
    "v to zero signal": ("v", ZERO),
    "eps to zero signal": ("eps", ZERO),
}
WHENS = [
    {"kind": "uniform"},
    {"kind": "range", "low": 0.3, "high": 0.8},
    {"kind": "discounted", "gamma": 0.7, "grid": 5},
    {"kind": "logit-normal", "mean": 0.2, "std": 1.3},
]
WEIGHTS = [
    {"kind": "constant"},
    {"kind": "discounted", "gamma": 0.7, "grid": 5},
    {"kind": "min-snr", "gamma": 2.0},
    {"kind": "epsilon"},
    {"kind": "single-shot"},
]
CORRECTIONS = [None, {"kind": "stepwise", "decay": 0.9, "scale": 0.7}]
LINKS = {
    "dpo": {"kind": "logistic", "beta": 3.0, "label_smoothing": 0.0},
    "cdpo": {"kind": "logistic", "beta": 3.0, "label_smoothing": 0.2},
    "ipo": {"kind": "squared", "beta": 3.0},
    "slic": {"kind": "hinge", "beta": 2.0, "delta": 1.0, "regulariser": 0.3},
    "orpo": {"kind": "odds", "weight": 0.4},
    "kto": {"kind": "pointwise", "beta": 2.0, "liked_weight": 1.5, "disliked_weight": 0.6},
    "sft": {"kind": "sft"},
}


def refusal(section, model, single):
    """Words of the reason why this cannot be, or None: the whole list."""
    link, credit = section["link"]["kind"], section["credit"]
    if credit["when"]["kind"] == credit["weight"]["kind"] == "discounted":
        return "counts γ twice"
    if section["evidence"]["reference"] == "none" and link in ("logistic", "squared", "pointwise"):
        return "compares with a reference"
    if credit["correction"] is not None and link == "sft":
        return "has no gradient"
    if model == "eps to zero signal" and credit["weight"]["kind"] in ("min-snr", "epsilon", "single-shot"):
        return "weight.kind"
    if model == "eps to zero signal" and credit["correction"] is not None:
        return "correction.kind"
    if single and link in ("logistic", "squared", "hinge", "odds"):
        return "reads pairs"
    return None


class Parrot:
    """A backbone, and its trainable, whose network says ``policy`` [I, …] of images, and ``frozen`` as a reference."""

    device = CPU

    def __init__(self, head, schedule):
        self.head, self.schedule = head, schedule
        self.policy, self.frozen = (draw.normal((2 * len(IDS), *SHAPE), name) for name in ("policy", "frozen"))
        self.policy.requires_grad_(True)
        self.says = self.policy

    def forward(self, x_t, t, _):
        return Prediction(self.says[: len(x_t)], x_t, *self.schedule.levels(t), self.head)

    def dropout(self, *_):
        return nullcontext()

    @contextmanager
    def reference(self):
        self.says = self.frozen
        yield
        self.says = self.policy


def lesson(shape, single, condition=None):
    """Two pairs; or two single images, of which the second is disliked."""
    winner, loser = (draw.normal((len(IDS), *shape), name) for name in ("winner", "loser"))
    sign = torch.tensor([1.0, -1.0]) if single else None
    return batch_of(IDS, VISITS, winner, None if single else loser, condition, sign)


def log_ratios(steps):
    """What earlier steps recorded [role, side, t]."""
    return -draw.normal((2, 2, steps), "record").abs() / 5


def filled(method, backbone):
    """A memory of earlier steps."""
    memory = Memory(method, backbone.schedule, backbone.head, CPU)
    memory.baseline = torch.tensor(BASELINE)
    if memory.record is not None:
        values = log_ratios(backbone.schedule.steps)
        memory.record.load({"log_ratio": values, "last": values.long() * 0, "visits": values.long() * 0 + 1})
    return memory


class Costs(NamedTuple):
    """Of a batch by brute force: what the policy said [I, …] in float64, and n[role][side][pair] of it."""

    said: torch.Tensor
    n: list[list[list[torch.Tensor]]]


def costs_of(credit, head, schedule, batch, policy, frozen):
    """Costs of both roles, of the images that were run."""
    images = batch.images(losers=True)
    exact = policy.detach().double().requires_grad_(True)
    recorded = log_ratios(schedule.steps).tolist()

    def n(role, side, at):
        row = side * len(IDS) + at
        u, eps = drawn(SEED, IDS[at], VISITS[at], tuple(images.x0.shape[1:]))
        said = (exact, frozen.double())[role][row]
        t = step_of(credit["when"], u, len(schedule.alpha))
        kept = recorded[role][int(at == DISLIKED) if batch.sign is not None else side]
        return cost(credit, head, schedule, t, kept, images.x0[row].double(), eps, said)

    sides = range(len(images.x0) // len(IDS))
    return Costs(exact, [[[n(role, side, at) for at in range(len(IDS))] for side in sides] for role in (0, 1)])


def judged(section, costs, single):
    """Loss of each pair or image [P]."""
    (policy, reference), link = costs.n, section["link"]
    if single:
        signs = [-1 if at == DISLIKED else 1 for at in range(len(IDS))]
        return torch.stack(
            [judged_image(link, *row, BASELINE) for row in zip(policy[0], reference[0], signs, strict=True)]
        )
    absent = section["evidence"]["reference"] == "none"
    rows = zip(zip(*policy, strict=True), zip(*reference, strict=True), strict=True)
    return torch.stack([judged_pair(link, ours, None if absent else theirs, BASELINE) for ours, theirs in rows])


def compare(section, loss, policy, costs, single):
    """Value and gradient, with respect to what the policy said, of both computations."""
    expected = judged(section, costs, single)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-5, msg=lambda text: f"{section}\n{text}")
    [ours] = torch.autograd.grad(loss.sum(), policy)
    [theirs] = torch.autograd.grad(expected.sum(), costs.said, retain_graph=True)
    least = 1e-5 * float(theirs.abs().max()) + 1e-12
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=least, msg=lambda text: f"{section}\n{text}")


def attempt(section, backbone, batch):
    """The outcome of a step, or the reason why there is none."""
    try:
        method = Method.model_validate(section)
        method.require(backbone.schedule, backbone.head)
        return judge(backbone, backbone, batch, method, filled(method, backbone), SEED)
    except (ValidationError, UserError) as error:
        return str(error)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("when", WHENS, ids=lambda when: when["kind"])
def test_the_product(when, model):
    backbone = Parrot(*MODELS[model])
    for weight, correction, single in product(WEIGHTS, CORRECTIONS, (False, True)):
        credit = {"when": when, "weight": weight, "correction": correction}
        batch, costs = lesson(SHAPE, single), None
        for link, reference in product(LINKS.values(), ("base", "none")):
            section = {"evidence": {"reference": reference}, "credit": credit, "link": link}
            reason, outcome = refusal(section, model, single), attempt(section, backbone, batch)
            if reason is not None:
                assert isinstance(outcome, str), f"{section} is not refused"
                assert reason in outcome
                continue
            assert not isinstance(outcome, str), f"{section}: {outcome}"
            costs = costs or costs_of(credit, *MODELS[model], batch, backbone.policy, backbone.frozen)
            compare(section, outcome.loss, backbone.policy, costs, single)


DDE = {"weight": {"kind": "single-shot"}, "correction": CORRECTIONS[1]}
HANDFUL = [
    ("dpo", "base", {}, False),
    ("dpo", "base", DDE, False),
    ("slic", "none", {"weight": WEIGHTS[2]}, False),
    ("orpo", "base", {"when": WHENS[2]}, False),
    ("kto", "base", {"when": WHENS[3], "weight": WEIGHTS[1]}, True),
    ("kto", "base", DDE, False),
    ("ipo", "base", {"weight": WEIGHTS[3], "correction": CORRECTIONS[1]}, False),
]


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def tiny(request, tmp_path_factory):
    """(backbone, trainable) of a tiny Stable Diffusion after an update, so that policy and reference differ."""
    backbone = load(save_tiny_sd(tmp_path_factory.mktemp("sd") / "model", prediction_type=request.param))
    trainable = attach(backbone, Full(), seed=0)
    with torch.no_grad():
        for name, parameter in trainable.parameters.items():
            parameter += 0.05 * draw.normal(tuple(parameter.shape), "update", name)
    return backbone, trainable


@pytest.mark.parametrize(("link", "reference", "credit", "single"), HANDFUL)
def test_a_handful_on_a_tiny_model(tiny, monkeypatch, link, reference, credit, single):
    backbone, trainable = tiny
    credit = {"when": WHENS[0], "weight": WEIGHTS[0], "correction": None} | credit
    section = {"evidence": {"reference": reference}, "credit": credit, "link": LINKS[link]}
    batch = lesson(LATENT_SHAPE, single, {"embeds": draw.normal((len(IDS), *TEXT_SHAPE), "prompts")})
    said, forward = [], backbone.forward

    def listen(*args):
        prediction = forward(*args)
        said.append(prediction.output)
        return prediction

    monkeypatch.setattr(backbone, "forward", listen)
    method = Method.model_validate(section)
    outcome = judge(backbone, trainable, batch, method, filled(method, backbone), SEED)
    costs = costs_of(credit, backbone.head, backbone.schedule, batch, said[0], said[-1])
    compare(section, outcome.loss, said[0], costs, single)
    assert len(said) == 1 + method.needs_reference
    assert not said[-1].requires_grad or not method.needs_reference
