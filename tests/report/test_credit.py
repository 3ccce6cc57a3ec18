"""`tastemaker credit`: the numbers behind the curves by hand, what the text says, the page, wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tastemaker.base.errors import UserError
from tastemaker.method.memory import Memory
from tastemaker.method.method import Credit, Method
from tastemaker.method.stepwise import Stepwise
from tastemaker.report import credit_figures, credit_page
from tastemaker.report.credit import (
    Entry,
    Recorded,
    binned,
    corrections,
    effective,
    from_recipe,
    from_run,
    net,
    read_process,
)
from tastemaker.world.assets import BASE_MODEL

MODEL = str(BASE_MODEL)


@pytest.fixture(scope="module")
def recipes(root: Path) -> Path:
    return root / "recipes" / "sd15"


def entry(name: str = "one", recorded: Recorded | None = None, chance=(0.25,) * 4, weight=(1, 2, 3, 2)) -> Entry:
    return Entry(name, Method(), 8, np.array(chance, float), np.array(weight, float), recorded)


def test_the_recipes_own_curves(recipes: Path) -> None:
    """range 0.2–0.7 visits 500 of 1000 steps evenly; DDE's weight is (1−ᾱ)/ᾱ of the model's schedule."""
    middle = from_recipe(recipes / "range-200-700.yaml", MODEL)
    assert middle.chance[[199, 200, 699, 700]] == pytest.approx([0, 1 / 500, 1 / 500, 0])
    schedule, head = read_process(MODEL, None)
    assert (head, schedule.steps) == ("eps", 1000)
    dde = from_recipe(recipes / "dde.yaml", MODEL)
    assert dde.weight == pytest.approx((1 / schedule.snr(torch.arange(1000))).numpy())
    assert dde.share.sum() == pytest.approx(1)


def test_shares_by_hand() -> None:
    """p ω = (1, 2, 3, 2)/4, so the shares are 1/8, 2/8, 3/8, 2/8."""
    assert entry().share.tolist() == [1 / 8, 2 / 8, 3 / 8, 2 / 8]


def test_corrections_are_sums_over_noisier_steps() -> None:
    assert corrections(np.array([-1.0, -2.0, -4.0])).tolist() == [-6, -4, 0]


def test_the_net_correction_by_hand() -> None:
    """(C_θ^w − C_r^w) − (C_θ^l − C_r^l) = (−1 + 3) − (−2 + 5) = −1."""
    assert net(np.array([[[-1.0], [-2.0]], [[-3.0], [-5.0]]])).tolist() == [-1]


def test_effective_credit_by_hand() -> None:
    """Four pairs on four steps in two parts: sums of credit over all pairs, times the number of parts."""
    recorded = Recorded(np.array([[1.0, 0, 1, 0], [0, 1, 0, 1]]), np.array([[3.0, 0, 5, 0], [0, 2, 0, 1]]))
    assert effective(recorded, 2).tolist() == [[1.5, 2.5], [1.0, 0.5]]
    assert binned(np.arange(6.0), 3).tolist() == [1, 5, 9]


def test_convergence_by_hand() -> None:
    """After 4 steps of 8 pairs on 4 steps, 8 visits each; C of the winners was (−1, 0) and ends as (−2, 0)."""
    shape = (2, 2, 2)
    log_ratio, before = np.zeros(shape), np.zeros(shape)
    log_ratio[0, 0, 1], before[0, 0, 1] = -2, -1
    recorded = Recorded(np.ones((2, 2)), np.ones((2, 2)), log_ratio, {4: before})
    one = Entry("one", Method(), 4, np.ones(2) / 2, np.ones(2), recorded)
    assert credit_figures.distances(one, recorded) == [(8.0, 0.5)]


def test_what_is_said_follows_the_curves() -> None:
    late, middle = np.zeros((2, 100)), np.zeros((2, 100))
    late[:, 95], middle[:, 50] = 1.0, 1.0
    flat = 1 + 0.3 * (np.arange(100) == 50) * np.ones((2, 1))
    cases = ((late, "this curve does not."), (middle, "this curve does."), (flat, "this curve has no clear peak."))
    for credit, verdict in cases:
        said = credit_page.say_effective(entry(), Recorded(np.ones((2, 100)), credit))
        assert said.endswith(verdict)
    assert credit_page.say_weight(entry()) == "one: ω runs from 1 at t = 0 to 3 at t = 2."
    assert credit_page.say_weight(entry(weight=(1, 1, 1, 1))) == "one: ω is 1 at every step."


def trained(folder: Path, recipe: Path) -> Path:
    """A run's folder as training leaves it, as far as the verb reads it."""
    schedule, head = read_process(MODEL, None)
    method = Method(credit=Credit(correction=Stepwise()))
    memory = Memory(method, schedule, head, torch.device("cpu"))
    t = torch.randint(1, 1000, (400,), generator=torch.Generator().manual_seed(0))
    for step in range(4):
        here = t[100 * step : 100 * (step + 1)]
        for role in (0, 1):
            memory.observe_errors(role, torch.arange(100) % 2, here, torch.rand(100))
        memory.trace.observe(here, torch.linspace(-1, 1, 100), torch.rand(100))
        memory.commit(step)
    folder.mkdir(parents=True)
    text = recipe.read_text(encoding="utf-8").replace("stable-diffusion-v1-5/stable-diffusion-v1-5", MODEL)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    save_file({name: value.clone() for name, value in memory.tensors().items()}, folder / "memory.safetensors")
    return folder


def test_the_page_shows_recipes_and_runs(tmp_path: Path, recipes: Path) -> None:
    run = trained(tmp_path / "my-run", recipes / "dde-step.yaml")
    files = [recipes / f"{name}.yaml" for name in ("uniform", "discounted", "dde")]
    out = tmp_path / "credit.html"
    summary = credit_page.credit(out, files, [run], MODEL)
    assert summary["methods"] == 4
    text = out.read_text(encoding="utf-8")
    for shown in ("Weight", "Effective credit", "Stepwise correction", "my-run (400 pairs", "The DDE paper says"):
        assert shown in text
    assert "mathdefault" not in text
    data = tmp_path / "credit-data"
    assert {"weights.csv", "shares.csv", "effective-credit.csv", "correction-my-run.csv", "convergence.csv"} <= {
        file.name for file in data.iterdir()
    }
    assert json.loads((data / "summary.json").read_text())["peaks"]["discounted"]["share"] == pytest.approx(0.98)
    first = out.read_bytes()
    credit_page.credit(out, files, [run], MODEL)
    assert out.read_bytes() == first


def test_a_run_keeps_what_its_memory_held(tmp_path: Path, recipes: Path) -> None:
    found = from_run(trained(tmp_path / "run", recipes / "dde-step.yaml"))
    assert found.recorded is not None
    assert found.recorded.pairs.sum() == 400
    assert found.recorded.log_ratio is not None
    assert sorted(found.recorded.history) == [1, 2, 3, 4]
    assert (found.recorded.log_ratio == found.recorded.history[4]).all()


def test_wrong_input_is_one_line(tmp_path: Path, recipes: Path) -> None:
    uniform, out = recipes / "uniform.yaml", tmp_path / "page.html"
    with pytest.raises(UserError, match="nothing to show: give recipes"):
        credit_page.credit(out)
    with pytest.raises(UserError, match=r"must end in \.html"):
        credit_page.credit(tmp_path / "page.pdf", [uniform], model=MODEL)
    with pytest.raises(UserError, match="uniform: two recipes or runs are called so"):
        credit_page.credit(out, [uniform, uniform], model=MODEL)
    with pytest.raises(UserError, match=r"memory\.safetensors: no such file"):
        credit_page.credit(out, [], [tmp_path])
    with pytest.raises(UserError, match=r"not on this machine; give --model"):
        credit_page.credit(out, [uniform], model="nobody/nothing")
    (tmp_path / "memory.safetensors").write_bytes(b"no tensors")
    (tmp_path / "recipe.yaml").write_bytes(uniform.read_bytes())
    with pytest.raises(UserError, match=r"memory\.safetensors: damaged"):
        credit_page.credit(out, [], [tmp_path], MODEL)
    assert not out.exists()


def test_a_flow_models_process_is_read_from_its_scheduler(tmp_path: Path, recipes: Path) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(tmp_path / "scheduler")
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusion3Pipeline"}')
    found = from_recipe(recipes.parent / "sd3" / "diffusion-dpo.yaml", str(tmp_path))
    schedule, head = read_process(str(tmp_path), None)
    assert head == "flow"
    assert found.weight == pytest.approx((schedule.alpha**2).numpy())
