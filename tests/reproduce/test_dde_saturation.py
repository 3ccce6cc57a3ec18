"""Which visits are saturated, by hand; and margins that are 0 where policy and reference are the same."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from support.reproduced import by_hand, small_profile
from tastemaker.base.files import write_json
from tastemaker.cli.scorers import build
from tastemaker.reproduce import dde
from tastemaker.reproduce import dde_saturation as module
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import checkpoints
from tastemaker.reproduce.dde_saturation import by_tenth, margins, saturated
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import carry_out, ordered
from tastemaker.reproduce.world_profile import profile

UNIFORM, SINGLE = Arm("world"), Arm("world", credit="dde-single")


def exhibit():
    return next(each for each in dde.exhibits(profile()) if each.key == "saturation")


def test_saturated_is_a_gradient_below_a_twentieth():
    """σ(−z) < 1/20 where z > log 19 = 2.944; a wrongly ordered pair never is."""
    z = np.array([2.94, 2.95, 0.0, -100.0, 100.0])
    assert saturated(z).tolist() == [0, 1, 0, 0, 1]
    assert math.log(19) == pytest.approx(2.944, abs=1e-3)


def test_tenths_by_hand():
    """Of 1000 steps 0…99 are the first tenth; a tenth without a visit has no share."""
    shares = by_tenth(np.array([0.0, 99.0, 100.0, 999.0]), np.array([1.0, 0.0, 1.0, 0.0]), 1000)
    assert shares[:2] == [0.5, 1.0]
    assert shares[9] == 0.0
    assert all(math.isnan(share) for share in shares[2:9])


def test_the_page_by_hand(tmp_path):
    """At step 20 one of two visits of seed 0 and both of seed 1 are saturated: 0.75.

    At step 10 none is: Wilson of 0 in 2, z²/(2 + z²) = 3.8415/5.8415 at most. Seed 2 has other steps.
    """
    shop = by_hand(tmp_path)
    for seed, z in enumerate(([4.0, 0.0], [4.0, 5.0])):
        at = {"10": {"z": [0.0, 0.0], "t": [10, 990]}, "20": {"z": z, "t": [10, 990]}}
        write_json(margins(shop, UNIFORM, seed).out, {"steps": 1000, "at": at})
    write_json(margins(shop, UNIFORM, 2).out, {"steps": 1000, "at": {"15": {"z": [9.0, 9.0], "t": [10, 990]}}})
    text = exhibit().write(Results(shop), tmp_path)
    assert "- Uniform: left out for other checkpoints than most: seed 2" in text
    assert "| Uniform | 10 | 2 | 0.000 (0.000 to 0.658) | 0 | 0 | 0 |" in text
    assert "| Uniform | 20 | 2 | 0.750 (0.000 to 1.000) |" in text
    plain = json.loads((tmp_path / "saturation.json").read_text())
    assert plain["Uniform"]["seeds"] == 2
    assert plain["Uniform"]["by tenth of t"] == [1.0, *[None] * 8, 0.5]
    assert (tmp_path / "saturation.png").read_bytes().startswith(b"\x89PNG")


def test_stages_are_of_uniform_and_single_shot(tmp_path):
    shop = by_hand(tmp_path)
    stages = list(exhibit().stages(shop, (0, 1)))
    assert [stage.name for stage in stages] == [
        f"saturation {arm.name} seed {seed}" for seed in (0, 1) for arm in (UNIFORM, SINGLE)
    ]
    assert [need.name for need in stages[0].needs] == [shop.trained(UNIFORM, 0).name]


@pytest.mark.slow
def test_margins_are_those_of_the_checkpoint(tmp_path):
    """With the adapter's weights at 0 policy and reference are one: z = 0. After training they are not."""
    from safetensors.torch import load_file, save_file

    shop = Shop(tmp_path / "out", small_profile(tmp_path / "source"), build)
    carry_out(ordered([shop.trained(UNIFORM, 0)]))
    run = shop.place(UNIFORM, 0) / "run"
    _, last = checkpoints(run)[-1]
    learnt = module._measure(run)["at"]
    weights = load_file(last / "weights.safetensors")
    save_file({name: value * 0 for name, value in weights.items()}, last / "weights.safetensors")
    again = module._measure(run)["at"]
    steps = sorted(learnt, key=int)
    assert again[steps[0]] == learnt[steps[0]]
    assert max(map(abs, again[steps[-1]]["z"])) == pytest.approx(0.0, abs=1e-4)
    assert max(map(abs, learnt[steps[-1]]["z"])) > 1e-2
    assert again[steps[-1]]["t"] == learnt[steps[-1]]["t"]
