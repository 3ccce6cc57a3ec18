import json
import os
import signal

import pytest
import torch

from tastemaker.base.errors import Interrupted, UserError
from tastemaker.world import fit as module
from tastemaker.world.fit import Fit, Plan, minibatch, parameters_of

PLAN = Plan(steps=12, batch=4, lr=0.05, warmup=2, decay=0.9, checkpoint_every=5)


class Crash(Exception):
    pass


def fit(out, plan=PLAN, stop_at=None, crash_at=None):
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 1)

    def loss_at(step):
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if step == crash_at:
            raise Crash
        rows = minibatch(20, plan, step)
        x = torch.stack([rows.float(), rows.float() ** 2 / 20, torch.ones(len(rows))], 1)
        return (layer(x).squeeze(1) - 0.3 * rows).square().mean()

    seen = []
    Fit(out, plan, parameters_of({"layer": layer})).run(loss_at, "test", lambda step: seen.append(step))
    return layer, seen


def test_the_rate_warms_up_and_decays_to_nothing():
    assert PLAN.rate(0) == pytest.approx(0.05 / 2)
    assert PLAN.rate(6) == pytest.approx(0.05 / 2)  # cos(π/2) = 0
    assert Plan(steps=10, batch=1, lr=1.0, warmup=1).rate(10) == pytest.approx(0.0)


def test_it_learns_logs_and_shows_itself(tmp_path):
    plan = Plan(steps=200, batch=8, lr=0.05, warmup=2, decay=0.9, checkpoint_every=100)
    _, seen = fit(tmp_path, plan)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert seen == [100, 200]
    assert losses[-1] < 0.1 * losses[0]


def test_stopped_and_resumed_equals_uninterrupted(tmp_path):
    whole, _ = fit(tmp_path / "whole")
    with pytest.raises(Interrupted):
        fit(tmp_path / "halves", stop_at=7)
    halves, _ = fit(tmp_path / "halves")
    assert torch.equal(whole.weight, halves.weight)
    assert torch.equal(whole.bias, halves.bias)
    assert (tmp_path / "whole/log.jsonl").read_bytes() == (tmp_path / "halves/log.jsonl").read_bytes()


def test_crashed_after_its_last_checkpoint_and_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    """Lines of the log that are younger than the checkpoint are written again, not twice."""
    monkeypatch.setattr(module, "LOSS_WINDOW", 2)
    whole, _ = fit(tmp_path / "whole")
    with pytest.raises(Crash):
        fit(tmp_path / "halves", crash_at=9)
    assert (
        len((tmp_path / "halves/log.jsonl").read_text().splitlines()) == 4
    )  # steps 2, 4, 6, 8; the checkpoint is of 5
    halves, _ = fit(tmp_path / "halves")
    assert torch.equal(whole.weight, halves.weight)
    assert (tmp_path / "whole/log.jsonl").read_bytes() == (tmp_path / "halves/log.jsonl").read_bytes()


def test_another_plan_in_the_same_folder_is_refused(tmp_path):
    fit(tmp_path)
    with pytest.raises(UserError, match="other settings"):
        fit(tmp_path, Plan(steps=13, batch=4, lr=0.05))


def test_a_loss_that_is_not_finite_stops(tmp_path):
    layer = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="loss is nan at step 0"):
        Fit(tmp_path, PLAN, parameters_of({"l": layer})).run(lambda _: layer.weight.sum() * float("nan"), "test")
