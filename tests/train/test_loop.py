from __future__ import annotations

import errno
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from support.training import make_task, recipe_of
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.train import checkpoint, log
from tastemaker.train.training import train

WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_task(tmp_path_factory.mktemp("task"), pairs=8)


def changed(tree: dict[str, Any], **data: Any) -> dict[str, Any]:
    return tree | {"data": tree["data"] | data}


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def newest(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = checkpoint.newest(out)
    assert found is not None
    return found.tensors


def short(tree: dict[str, Any], out: Path, pairs: int = 4, **settings: Any) -> Path:
    train(recipe_of(changed(tree, max_pairs=pairs), out, **settings))
    return out


def test_the_first_step_is_at_margin_0_and_loss_log_2(tree: dict[str, Any], tmp_path: Path) -> None:
    first = metrics(short(tree, tmp_path, log_every=1))[0]
    assert first["margin"] == 0
    assert first["accuracy"] == 0.5
    assert first["loss"] == pytest.approx(math.log(2), rel=1e-6)
    assert first["error_winner"] == first["reference_error_winner"]


REMEMBERING = {
    "link": {"kind": "pointwise", "beta": 200, "liked_weight": 3},
    "credit": {"correction": {"kind": "stepwise"}},
}
"""A method with KTO's z0 and DDE's record."""


@pytest.mark.parametrize("method", [None, REMEMBERING], ids=["dpo", "kto with a record"])
def test_accumulated_micro_batches_are_the_big_batch(tree: dict[str, Any], tmp_path: Path, method: Any) -> None:
    """Two steps of 8 pairs, cut in 1, 4 or 2 micro-batches: weights and moments to 1e-6, and the same memory.

    AdamW's moment shows the gradient's scale, which the weights do not; its eps is large here, because the sign of a
    gradient that is nearly 0 is a matter of rounding.
    """
    recipe, found = tree | {"method": method or tree["method"]}, []
    exact = {"max_grad_norm": 0.0, "optimizer": {"eps": 1e-3}}
    for batch_size, accumulate in ((8, 1), (2, 4), (4, 2)):
        out = tmp_path / f"{batch_size}"
        short(recipe, out, pairs=16, batch_size=batch_size, accumulate=accumulate, **exact)
        found.append(newest(out))
    for other in found[1:]:
        for group in ("weights", "average", "memory", "optimizer"):
            assert other[group].keys() == found[0][group].keys()
            for name, value in found[0][group].items():
                rtol = 1e-3 if group == "memory" else 0.0
                torch.testing.assert_close(other[group][name], value, rtol=rtol, atol=1e-6, msg=f"{group}/{name}")
    moments = [value for name, value in found[0]["optimizer"].items() if name.endswith("exp_avg")]
    assert any(moment.abs().max() > 1e-4 for moment in moments)
    assert method is None or found[0]["memory"]["baseline"] > 0


def test_how_often_it_is_saved_or_logged_changes_no_weight(tree: dict[str, Any], tmp_path: Path) -> None:
    often = short(tree, tmp_path / "often", checkpoint_every=1, log_every=1)
    never = short(tree, tmp_path / "never", checkpoint_every=0, log_every=100)
    assert files.sha256_file(often / WEIGHTS) == files.sha256_file(never / WEIGHTS)
    assert len(metrics(never)) == 1, "the last step is always logged"


def test_drawing_samples_changes_no_weight(tree: dict[str, Any], tmp_path: Path) -> None:
    drawn = {"sample_every": 1, "sample_prompts": ["a red circle", "a blue square"], "sample_steps": 2}
    with_samples = short(tree, tmp_path / "with", **drawn)
    without = short(tree, tmp_path / "without")
    assert files.sha256_file(with_samples / WEIGHTS) == files.sha256_file(without / WEIGHTS)
    grids = sorted(path.name for path in (with_samples / "samples").iterdir())
    assert grids == ["step-000000.png", "step-000001.png", "step-000002.png"]


def test_another_seed_is_another_run(tree: dict[str, Any], tmp_path: Path) -> None:
    runs = [short(tree, tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    assert files.sha256_file(runs[0] / WEIGHTS) != files.sha256_file(runs[1] / WEIGHTS)


def test_the_line_is_the_mean_over_the_pairs_since_the_line_before(tree: dict[str, Any], tmp_path: Path) -> None:
    """Six pairs in steps of 4 and 2: their mean weighs the steps 4 : 2."""
    each = metrics(short(tree, tmp_path / "each", pairs=6, batch_size=4, log_every=1))
    both = metrics(short(tree, tmp_path / "both", pairs=6, batch_size=4, log_every=2))
    assert [line["pairs_seen"] for line in each] == [4, 6]
    for name in ("loss", "margin", "error_loser", "gradient_norm"):
        expected = (4 * each[0][name] + 2 * each[1][name]) / 6
        assert both[0][name] == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_metrics_hold_no_clock_and_timing_does(tree: dict[str, Any], tmp_path: Path) -> None:
    out = short(tree, tmp_path, log_every=1)
    assert not any("second" in name for line in metrics(out) for name in line)
    timing = [json.loads(line) for line in (out / "timing.jsonl").read_text().splitlines()]
    assert [line["step"] for line in timing] == [1, 2]
    assert all(line["pairs_per_second"] > 0 for line in timing)


def test_tensorboard_has_the_metrics(tree: dict[str, Any], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = short(tree, tmp_path, log_every=1)
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert {"loss", "margin", "accuracy", "gradient_norm", "lr", "pairs_per_second"} <= set(events.Tags()["scalars"])
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([line["loss"] for line in metrics(out)])


def test_the_average_is_exported_and_the_weights_are_not(tree: dict[str, Any], tmp_path: Path) -> None:
    exported = load_file(short(tree, tmp_path) / WEIGHTS)
    tensors = newest(tmp_path)
    for name, mean in tensors["average"].items():
        assert torch.equal(exported[f"unet.{name}"], mean)
    assert any(not torch.equal(tensors["weights"][name], mean) for name, mean in tensors["average"].items())


def test_without_ema_the_weights_are_exported(tree: dict[str, Any], tmp_path: Path) -> None:
    exported = load_file(short(tree, tmp_path, ema=0.0) / WEIGHTS)
    assert newest(tmp_path)["average"] == {}
    for name, weight in newest(tmp_path)["weights"].items():
        assert torch.equal(exported[f"unet.{name}"], weight)


def test_a_full_disk_while_logging_is_told_and_the_run_goes_on_later(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = log.Log.write

    def full(self: Any, line: dict[str, float]) -> float:
        if line["step"] == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(log.Log, "write", full)
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); free some space and run"):
            short(tree, tmp_path / "full", checkpoint_every=1, log_every=1)
    short(tree, tmp_path / "full", checkpoint_every=1, log_every=1)
    whole_run = short(tree, tmp_path / "whole", checkpoint_every=1, log_every=1)
    assert files.sha256_file(tmp_path / "full" / WEIGHTS) == files.sha256_file(whole_run / WEIGHTS)
