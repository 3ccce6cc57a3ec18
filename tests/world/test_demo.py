"""The demo end to end: a short one that checks the machinery, and (slow) the real one with its verdict."""

import json
from dataclasses import replace

import pytest

from tastemaker.cli.app import main
from tastemaker.world import demo as module
from tastemaker.world.demo import SHORT, Settings, demo, recipe
from tastemaker.world.outcome import ONLINE, TRAINED

TINY = replace(SHORT, prompts=6, pairs_seen=32, sampling_steps=2)
FIGURES = {"win_rate", "win_rate_low", "win_rate_high"}


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, demo(out, TINY)


def test_the_summary_has_what_is_promised(short):
    out, done = short
    assert json.loads((out / "summary.json").read_text()) == done
    single = {"prompts", "seconds", "utility_before", "utility_after", "correct_before", "correct_after", "auroc_q"}
    assert single | FIGURES | {"controls"} <= set(done)
    assert set(done["controls"]) == {"all_pairs", "random_subset"}
    assert all(set(control) >= FIGURES for control in done["controls"].values())
    assert done["prompts"] == 6
    assert set(done[ONLINE]) >= FIGURES
    assert done["auroc_q"] > 0.65


def test_every_stage_left_its_files_and_the_report_tells_of_them(short):
    out, _ = short
    for name in (*TRAINED, ONLINE):
        assert (out / "runs" / name / "pytorch_lora_weights.safetensors").is_file()
    page = (out / "report.html").read_text()
    assert "Wrong labels" in page
    assert "AUROC" in page
    assert "Learning from fresh samples" in page
    assert (out / "report-data").is_dir()


def test_a_second_run_starts_at_once_and_other_settings_are_refused(short, monkeypatch, capsys):
    out, done = short
    monkeypatch.setattr(module, "prepare", None)
    monkeypatch.setattr(module, "judge", None)
    assert demo(out, TINY) == done
    assert main(["demo", "--out", str(out)]) == 2
    assert "choose another --out or remove it" in capsys.readouterr().err


def test_a_stopped_demo_goes_on_where_it_was(short, tmp_path, monkeypatch):
    _, done = short
    real = module.align

    def stop(name, out, settings):
        if name == "all_pairs":
            raise KeyboardInterrupt
        real(name, out, settings)

    monkeypatch.setattr(module, "align", stop)
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "out", TINY)
    monkeypatch.setattr(module, "align", real)
    again = demo(tmp_path / "out", TINY)
    varying = {"seconds", "report"}
    assert {k: v for k, v in again.items() if k not in varying} == {k: v for k, v in done.items() if k not in varying}


def test_the_three_recipes_differ_in_their_pairs_alone(short):
    out, _ = short
    trees = [recipe(name, out, TINY).model_dump() for name in TRAINED]
    assert [tree["data"]["order"] for tree in trees] == ["sorted", "random", "random"]
    assert [tree["data"]["pairs"] for tree in trees] == [str(out / "ranked" / name) for name in TRAINED]
    for tree in trees:
        assert tree["data"].pop("max_pairs") == 32
        for key in ("pairs", "order", "epochs"):
            tree["data"].pop(key)
        tree.pop("out")
    assert trees[0] == trees[1] == trees[2]


@pytest.mark.slow(minutes=4)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_aligned_model_beats_the_base(tmp_path, seed):
    """The claim of docs/world.md: both 95 % intervals over 300 held-out captions lie above their null."""
    done = demo(tmp_path / "out", Settings(seed=seed, rounds=0))
    assert done["prompts"] >= 300
    assert done["win_rate_low"] > 0.5
    assert done["mean_difference_low"] > 0
    assert done["correct_after"] > done["correct_before"]
