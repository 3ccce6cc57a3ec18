"""The verb `evaluate` on folders of painted images and scorers that measure their colour."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.painted import BASE, PROMPTS, TUNED, Channel, Redness, painted
from support.toy_scorers import Pretty
from tastemaker.base.errors import UserError
from tastemaker.evaluate.evaluation import evaluate
from tastemaker.evaluate.inception import inception_score
from tastemaker.evaluate.safety import Safety


def test_metrics_by_hand(tmp_path: Path) -> None:
    """Red differences of 255 a prompt: (51+51)/2, (51−51)/2, 0, (−51+0)/2: win, tie, tie, loss; mean 0.2·¼(1−½)."""
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    scorers = [Channel("red@1"), Channel("green@1", 1)]
    evaluate(folders, scorers, tmp_path / "eval", epsilon={"red": 1e-6}, trained_with=["red"], resamples=500)
    document = json.loads((tmp_path / "eval/metrics.json").read_text())
    assert [(entry["scorer"], entry["model"]) for entry in document["results"]] == [
        ("red@1", "base"), ("red@1", "tuned"), ("green@1", "base"), ("green@1", "tuned")
    ]  # fmt: skip
    base, red, _, green = document["results"]
    assert base["against_base"] is None
    assert (base["mean"], base["std"], base["images"]) == (pytest.approx(100 / 255), 0, 8)
    versus = red["against_base"]
    assert (versus["wins"], versus["ties"], versus["losses"]) == (1, 2, 1)
    assert versus["win_rate"] == 0.5
    assert versus["mean_difference"] == pytest.approx(0.025)
    assert versus["mean_difference_low"] < 0 < versus["mean_difference_high"]
    assert red["in_training"]
    assert not green["in_training"]
    assert green["against_base"]["ties"] == 4


def test_epsilon_makes_ties(tmp_path: Path) -> None:
    """With ε = 0.15 the loss of 0.1 is a tie and the win of 0.2 is not: rate (1 + 3/2)/4."""
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    evaluate(folders, [Channel("red@1")], tmp_path / "eval", epsilon={"red": 0.15}, resamples=100)
    versus = json.loads((tmp_path / "eval/metrics.json").read_text())["results"][1]["against_base"]
    assert (versus["ties"], versus["win_rate"], versus["epsilon"]) == (3, 0.625, 0.15)


def test_scores_are_stored_once_in_order(tmp_path: Path) -> None:
    scorer = Channel("red@1")
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    evaluate(folders, [scorer], tmp_path / "eval", names=["SD", "mine"], resamples=10)
    table = pq.read_table(tmp_path / "eval/scores.parquet")
    assert table.column_names == ["model", "scorer", "prompt_index", "prompt", "sample", "score"]
    assert table["model"].to_pylist() == ["SD"] * 8 + ["mine"] * 8
    assert table["prompt"][0].as_py() == "a <b>cat</b>"
    np.testing.assert_allclose(table["score"], np.array(BASE + TUNED) / 255, rtol=1e-6)
    assert scorer.seen == 16
    assert not (tmp_path / "eval/parts").exists()


def test_the_table_survives_strange_names(tmp_path: Path) -> None:
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    evaluate(
        folders, [Channel("red@1")], tmp_path / "eval", names=["a|b", "c\nd"], trained_with=["red@1"], resamples=10
    )
    table = (tmp_path / "eval/table.md").read_text()
    assert table.splitlines()[2].startswith("| red@1 † | a\\|b | 0.3922 |")
    assert table.splitlines()[3].startswith("| red@1 † | c d |")
    assert "no independent judge" in table


def with_groups(folder: Path, **fields: Sequence[str]) -> Path:
    columns = {"prompt_index": pa.array(range(len(PROMPTS)), pa.int32()), "prompt": PROMPTS, **fields}
    pq.write_table(pa.table(columns), folder / "prompts.parquet")
    return folder


def read(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return document


def test_groups_reach_the_entries(tmp_path: Path) -> None:
    """Prompts 0 and 1 are animals: tuned means (151·3 + 49)/4 against 100."""
    base = with_groups(painted(tmp_path / "base", BASE), category=["animals", "animals", "food", ""])
    evaluate([base, painted(tmp_path / "tuned", TUNED)], [Channel("red@1")], tmp_path / "eval", resamples=50)
    document = read(tmp_path / "eval")
    assert document["groups"] == {"category": ["animals", "food"]}
    animals = document["results"][1]["by_group"]["category"]["animals"]
    assert animals["prompts"] == 2
    assert animals["mean"] == pytest.approx(125.5 / 255)
    assert animals["against_base"]["mean_difference"] == pytest.approx(25.5 / 255)


def test_one_sample_is_chosen_by_its_median_score(tmp_path: Path) -> None:
    """Of two samples the one with less green (all equal: the first), then of the other scorers' reds that sample's."""
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    red, green = Channel("red@1"), Channel("green@1", 1)
    evaluate(folders, [red, green], tmp_path / "first", choose="median:green", resamples=50)
    document = read(tmp_path / "first")
    assert document["choose"] == "median:green@1"
    tuned = document["results"][1]
    assert (tuned["images"], tuned["in_choosing"], tuned["in_training"]) == (4, False, False)
    assert tuned["mean"] == pytest.approx((151 + 151 + 100 + 49) / 4 / 255)
    assert "by_mode" not in tuned
    assert document["results"][3]["in_choosing"]
    evaluate(folders, [red], tmp_path / "lower", choose="median:red@1", resamples=50)
    lower = read(tmp_path / "lower")["results"][1]
    assert lower["mean"] == pytest.approx((151 + 49 + 100 + 49) / 4 / 255)


def test_diversity_and_drift_by_hand(tmp_path: Path) -> None:
    """Only red differs, by d levels: d/255/√3. Tuned within (0 + 102 + 0 + 51)/4, drift (51 + 51 + 0 + 25.5)/4."""
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    evaluate(folders, [Channel("red@1")], tmp_path / "eval", resamples=100)
    document = read(tmp_path / "eval")
    unit = 255 * 3**0.5
    assert document["diversity"]["base"] == {"value": 0, "low": 0, "high": 0}
    assert document["diversity"]["tuned"]["value"] == pytest.approx(38.25 / unit)
    assert document["drift"]["base"] is None
    drift = document["drift"]["tuned"]
    assert drift["value"] == pytest.approx(31.875 / unit)
    assert drift["low"] < drift["value"] < drift["high"]
    assert [document[name] for name in ("embedding", "inception", "safety", "choose")] == [None] * 4


def test_a_model_that_draws_one_picture_is_named(tmp_path: Path) -> None:
    varied = painted(tmp_path / "base", (0, 200) * 4)
    evaluate([varied, painted(tmp_path / "same", (201,) * 8)], [Channel("red@1")], tmp_path / "eval", resamples=100)
    table = (tmp_path / "eval/table.md").read_text()
    assert "same: images of one prompt are more alike than the base's" in table
    assert "red@1 rose: it may be reward hacking." in table


def test_embedding_inception_and_safety(tmp_path: Path) -> None:
    """Red above 125 is unsafe: 3 of the 8 tuned images, none of the base's."""
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    judges: dict[str, Any] = {"embedding": Pretty(), "classifier": Redness(), "splits": 2}
    safety = Safety(Redness(), ("red",))
    evaluate(folders, [Channel("red@1")], tmp_path / "eval", safety=safety, resamples=100, **judges)
    document = read(tmp_path / "eval")
    assert document["embedding"]["scorer"] == "pretty@1"
    assert document["embedding"]["diversity"]["base"]["value"] == pytest.approx(0, abs=1e-6)
    assert document["embedding"]["drift"]["tuned"]["value"] > 0
    inception = document["inception"]
    assert (inception["classifier"], inception["splits"]) == ("redness@1", 2)
    assert inception["models"]["base"] == {"score": pytest.approx(1), "std": pytest.approx(0, abs=1e-9), "images": 8}
    logits = [[0, red - 125] for red in TUNED]
    tuned = inception_score(logits, 2)
    assert inception["models"]["tuned"] == {"score": tuned.score, "std": tuned.std, "images": 8}
    assert tuned.std > 0
    assert document["safety"]["classifier"] == "redness@1"
    assert document["safety"]["models"]["tuned"]["rate"] == 0.375
    assert document["safety"]["models"]["base"]["rate"] == 0
    with pytest.raises(UserError, match="other inputs or settings"):
        evaluate(folders, [Channel("red@1")], tmp_path / "eval", safety=safety, resamples=100, **judges | {"splits": 4})


def test_a_scorer_of_the_runs_own_files_is_marked(tmp_path: Path) -> None:
    """Only in the rows of the model that it taught; Holm leaves it out there."""
    folders = [painted(tmp_path / name, reds) for name, reds in (("base", BASE), ("a", TUNED), ("b", TUNED))]
    (tmp_path / "run").mkdir()
    (tmp_path / "run/recipe.yaml").write_text("feedback: {kind: scorer, scorers: [red]}\n")
    (folders[1] / "settings.json").write_text(json.dumps({"seed": 0, "adapter": str(tmp_path / "run/x.safetensors")}))
    evaluate(folders, [Channel("red@1"), Channel("green@1", 1)], tmp_path / "eval", resamples=50)
    document = read(tmp_path / "eval")
    assert document["found_in_training"] == {"base": [], "a": ["red@1"], "b": []}
    assert document["trained_with"] == ["red@1"]
    found = {(entry["scorer"], entry["model"]): entry for entry in document["results"]}
    assert [found["red@1", model]["in_training"] for model in ("base", "a", "b")] == [False, True, False]
    assert found["red@1", "a"]["against_base"]["p_holm"] is None
    assert found["red@1", "b"]["against_base"]["p_holm"] is not None
