"""What a method carries between optimizer steps: from committed steps alone, the same for any split of a batch."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import load_file

from support.batches import batch as batch_of
from tastemaker.base import draw
from tastemaker.method.evidence import Evidence
from tastemaker.method.memory import Memory, is_shown
from tastemaker.method.method import Credit, Method
from tastemaker.method.pairwise import Logistic
from tastemaker.method.pointwise import Pointwise, Sft
from tastemaker.method.stepwise import Stepwise
from tastemaker.method.weight import SingleShot
from tastemaker.process.prediction import Prediction
from tastemaker.process.schedule import variance_preserving
from tastemaker.train.checkpoint import write_tensors
from tastemaker.train.step import step as judge

CPU, SEED, SHAPE, STEPS = torch.device("cpu"), 3, (2, 4, 4), 8
SCHEDULE = variance_preserving(torch.linspace(0.95, 0.1, STEPS, dtype=torch.float64))
KTO = Method(link=Pointwise(beta=2))
DDE = Method(credit=Credit(weight=SingleShot(), correction=Stepwise(decay=0.5)), link=Logistic(beta=2))


class Linear:
    """A backbone, and its trainable, whose network says a multiple of its input, and half of that as a reference."""

    device, schedule, head = CPU, SCHEDULE, "eps"

    def __init__(self, slope=0.9):
        self.slope = torch.tensor(slope, requires_grad=True)
        self.share = 1.0

    def forward(self, x_t, t, _):
        return Prediction(self.share * self.slope * x_t, x_t, *self.schedule.levels(t), self.head)

    def dropout(self, *_):
        return nullcontext()

    def reference(self):
        return self

    def __enter__(self):
        self.share = 0.5

    def __exit__(self, *_):
        self.share = 1.0


def memory_of(method):
    return Memory(method, SCHEDULE, "eps", CPU)


def pairs(first, count, single=False):
    """``count`` pairs from number ``first`` on, or as many liked and disliked images in turn."""
    ids = [f"pair-{number}" for number in range(first, first + count)]
    winner, loser = (torch.stack([draw.normal(SHAPE, side, name) for name in ids]) for side in ("winner", "loser"))
    sign = torch.tensor([1.0 - 2 * (number % 2) for number in range(first, first + count)]) if single else None
    return batch_of(ids, [0] * count, winner, None if single else loser, sign=sign)


def judged(batch, method, memory, slope=0.9):
    """The outcome of a step of a network of its own."""
    backbone = Linear(slope)
    return judge(backbone, backbone, batch, method, memory, SEED)


def rho(outcome, name):
    return outcome.stats[f"reference_error_{name}"] - outcome.stats[f"error_{name}"]


def evidence_of(policy, reference):
    return Evidence(tuple(map(torch.tensor, policy)), tuple(map(torch.tensor, reference)))


def test_the_baseline_by_hand():
    """ρ = 3 − 1, 2 − 1 and 1 − 1, 5 − 2: z0 = (2 + 1 + 0 + 3) / 4 = 1.5; negative means count as 0."""
    memory = memory_of(KTO)
    assert float(memory.baseline) == 0
    memory.observe_evidence(
        torch.tensor([0, 1]), evidence_of([[1.0, 1], [1.0, 2]], [[3.0, 2], [1.0, 5]]), torch.zeros(2)
    )
    memory.commit(0)
    assert float(memory.baseline) == 1.5
    memory.observe_evidence(torch.tensor([0]), evidence_of([[3.0], [1.0]], [[1.0], [1.0]]), torch.zeros(1))
    memory.commit(1)
    assert float(memory.baseline) == 0


@pytest.mark.parametrize("single", [False, True])
def test_the_baseline_is_the_mean_log_ratio_of_the_step_before(single):
    """Not of the batch that is judged, whose loss therefore is known from it and the memory alone."""
    backbone, memory = Linear(0.3), memory_of(KTO)
    first = judge(backbone, backbone, pairs(0, 4, single), KTO, memory, SEED)
    names = ["image"] if single else ["winner", "loser"]
    assert float(memory.baseline) == 0
    memory.commit(0)
    known = float(torch.cat([rho(first, name) for name in names]).mean())
    assert known > 0
    assert float(memory.baseline) == pytest.approx(known)
    outcome = judge(backbone, backbone, pairs(4, 4, single), KTO, memory, SEED)
    ratio = torch.cat([rho(outcome, name) for name in names])
    sign = pairs(4, 4, True).sign if single else torch.tensor([1.0] * 4 + [-1.0] * 4)
    losses = torch.sigmoid(-2 * sign * (ratio - known))
    torch.testing.assert_close(outcome.loss, losses if single else (losses[:4] + losses[4:]) / 2)


def test_the_baseline_has_no_gradient():
    backbone, memory = Linear(0.3), memory_of(KTO)
    judge(backbone, backbone, pairs(0, 4), KTO, memory, SEED)
    memory.commit(0)
    assert not memory.baseline.requires_grad
    assert memory.baseline > 0


@pytest.mark.parametrize("method", [KTO, DDE], ids=["kto", "dde"])
def test_micro_batches_add_up_to_the_whole_batch(method):
    """Three steps of 6 pairs, whole, as 3 × 2 and as 1 + 5: the same memory, losses and gradient."""
    results = []
    for cut in ([6], [2, 2, 2], [1, 5]):
        backbone, memory, losses = Linear(), memory_of(method), []
        for step in range(3):
            first = 6 * step
            for count in cut:
                outcome = judge(backbone, backbone, pairs(first, count), method, memory, SEED)
                (outcome.loss.sum() / 6).backward()
                losses.append(outcome.loss.detach())
                first += count
            memory.commit(step)
        results.append((torch.cat(losses), backbone.slope.grad, memory.tensors()))
    for loss, gradient, tensors in results[1:]:
        torch.testing.assert_close(loss, results[0][0])
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-5, atol=1e-6)
        assert tensors.keys() == results[0][2].keys()
        for name, value in tensors.items():
            torch.testing.assert_close(value, results[0][2][name])


def test_dde_reads_the_record_of_committed_steps_alone():
    """Judging the same pairs again inside a step changes nothing; after the commit it does."""
    backbone, memory = Linear(), memory_of(DDE)
    first, again = (judge(backbone, backbone, pairs(0, 6), DDE, memory, SEED).loss for _ in range(2))
    assert torch.equal(first, again)
    memory.commit(0)
    assert not torch.equal(judge(backbone, backbone, pairs(0, 6), DDE, memory, SEED).loss, first)


@pytest.mark.parametrize("method", [KTO, DDE], ids=["kto", "dde"])
def test_ranks_that_share_a_batch_are_one_rank(method):
    """``reduce`` sums over the ranks: each rank's memory after the commit is that of one rank that saw all pairs."""
    one, first, second = (memory_of(method) for _ in range(3))
    for step in range(2):
        start = 6 * step
        for memory, parts in ((one, ((0, 2), (2, 4))), (first, ((0, 2),)), (second, ((2, 4),))):
            for at, count in parts:
                judged(pairs(start + at, count), method, memory, 0.3)
        one.commit(step)
        sent: list[torch.Tensor] = []
        second.commit(step, lambda total, sent=sent: (sent.append(total), total)[1])
        first.commit(step, lambda total, sent=sent: total + sent.pop(0))
        assert not sent
        assert method != KTO or 0 < float(one.baseline) != float(second.baseline)
        second.load({name: value.clone() for name, value in first.tensors().items()})
    for name, value in one.tensors().items():
        torch.testing.assert_close(first.tensors()[name], value, msg=lambda text, name=name: f"{name}: {text}")


def test_a_discarded_step_leaves_no_trace():
    kept, other = memory_of(DDE), memory_of(DDE)
    for memory in (kept, other):
        judged(pairs(0, 6), DDE, memory)
        memory.commit(0)
    judged(pairs(6, 6), DDE, other)
    other.discard()
    for memory in (kept, other):
        memory.commit(1)
    assert all(torch.equal(value, other.tensors()[name]) for name, value in kept.tensors().items())


@pytest.mark.parametrize("method", [KTO, DDE], ids=["kto", "dde"])
def test_a_discarded_step_that_was_not_finite_leaves_no_trace(method):
    kept, other = memory_of(method), memory_of(method)
    judged(pairs(6, 6), method, other, math.nan)
    other.discard()
    for memory in (kept, other):
        judged(pairs(0, 6), method, memory)
        memory.commit(0)
    assert all(torch.equal(value, other.tensors()[name]) for name, value in kept.tensors().items())


@pytest.mark.parametrize("method", [KTO, DDE], ids=["kto", "dde"])
def test_a_memory_comes_back_from_its_tensors(method):
    first, second = memory_of(method), memory_of(method)
    judged(pairs(0, 6), method, first)
    first.commit(0)
    second.load({name: value.clone() for name, value in first.tensors().items()})
    for memory in (first, second):
        judged(pairs(6, 6), method, memory)
        memory.commit(1)
    assert first.tensors().keys() == second.tensors().keys()
    assert all(torch.equal(value, second.tensors()[name]) for name, value in first.tensors().items())


def test_a_memory_fits_into_a_checkpoint_after_every_step(tmp_path):
    """safetensors refuses tensors that share memory; the history must not be the record itself."""
    memory, other = memory_of(DDE), memory_of(DDE)
    for step in range(4):
        judged(pairs(6 * step, 6), DDE, memory)
        memory.commit(step)
        write_tensors(tmp_path / "memory.safetensors", memory.tensors())
        other.load(load_file(tmp_path / "memory.safetensors"))
        assert all(torch.equal(value, other.tensors()[name]) for name, value in memory.tensors().items())


def test_history_keeps_the_record_at_powers_of_two_and_thrice_those():
    assert [step for step in range(1, 100) if is_shown(step)] == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96]
    memory = memory_of(DDE)
    for step in range(6):
        judged(pairs(6 * step, 6), DDE, memory)
        memory.commit(step)
    assert list(memory.history) == [1, 2, 3, 4, 6]
    assert torch.equal(memory.history[6], memory.record.values)
    assert not torch.equal(memory.history[1], memory.history[6])


def test_the_trace_is_dpos_effective_credit():
    """Σ σ(−β m/2) (β/2) ω(t) over the pairs at t, apart for m ≤ 0 and m > 0; ω = (1−ᾱ)/ᾱ of the single shot."""
    method = Method(credit=Credit(weight=SingleShot()), link=Logistic(beta=2))
    backbone, memory = Linear(), memory_of(method)
    expected = torch.zeros(3, 2, STEPS, dtype=torch.float64)
    for step in range(3):
        outcome = judge(backbone, backbone, pairs(10 * step, 10), method, memory, SEED)
        for t, m in zip(outcome.stats["t"].int().tolist(), outcome.stats["margin"].tolist(), strict=True):
            bar = float(SCHEDULE.alpha[t]) ** 2
            credit = (1 - bar) / bar * 1.0 / (1 + math.exp(1.0 * m))
            expected[:, int(m > 0), t] += torch.tensor([1, m, credit], dtype=torch.float64)
        memory.commit(step)
    assert expected[0].sum(1).min() > 0
    torch.testing.assert_close(memory.trace.sums.double(), expected, rtol=1e-4, atol=1e-5)


def test_without_a_comparison_nothing_is_traced():
    memory = memory_of(Method(link=Sft()))
    judged(pairs(0, 4), Method(link=Sft()), memory)
    memory.commit(0)
    assert memory.record is None
    assert not any(value.any() for value in memory.tensors().values())
