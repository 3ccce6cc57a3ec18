"""The verb `evaluate` on folders of painted images and scorers that measure their colour."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.evaluate import scoring
from tastemaker.evaluate.evaluation import evaluate

PROMPTS = ("a <b>cat</b>", "two | dogs", "🦊 fox", "שלום")


@dataclasses.dataclass
class Channel:
    """Mean of one colour channel in [0, 1]; counts the images it has seen and may break down."""

    id: str
    channel: int = 0
    seen: int = 0
    breaks_after: int | None = None
    calibration: str = "identity"
    uses_prompt: bool = False

    def score(self, prompts: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:  # noqa: ARG002
        if self.breaks_after is not None and self.seen >= self.breaks_after:
            raise UserError("the machine went down")
        self.seen += len(images)
        return np.array([np.asarray(image)[..., self.channel].mean() / 255 for image in images], np.float32)


def painted(folder: Path, reds: Sequence[int], prompts: Sequence[str] = PROMPTS, seed: int = 0) -> Path:
    """An IMAGES folder: image i is plain with red ``reds[i]``, green 100; two samples a prompt."""
    folder.mkdir()
    rows = []
    for number, red in enumerate(reds):
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4), (red, 100, 0)).save(buffer, "png")
        rows.append(
            {
                "prompt_index": number // 2,
                "prompt": prompts[number // 2],
                "sample": number % 2,
                "png": buffer.getvalue(),
            }
        )
    schema = pa.schema({"prompt_index": pa.int32(), "prompt": pa.string(), "sample": pa.int32(), "png": pa.binary()})
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "images.parquet")
    (folder / "settings.json").write_text(json.dumps({"seed": seed}))
    return folder


BASE = (100, 100, 100, 100, 100, 100, 100, 100)
TUNED = (151, 151, 151, 49, 100, 100, 49, 100)


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


def test_a_run_that_broke_down_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after 12 of 16 images, the second run scores the other four and ends with the same bytes."""
    monkeypatch.setattr(scoring, "CHUNK", 4)
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    with pytest.raises(UserError, match="went down"):
        evaluate(folders, [Channel("red@1", breaks_after=12)], tmp_path / "eval")
    assert not (tmp_path / "eval/scores.parquet").exists()
    again = Channel("red@1")
    evaluate(folders, [again], tmp_path / "eval")
    evaluate(folders, [Channel("red@1")], tmp_path / "whole")
    assert again.seen == 4
    for name in ("scores.parquet", "metrics.json", "table.md"):
        assert (tmp_path / "eval" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_evaluation_is_recognised(tmp_path: Path) -> None:
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    first = evaluate(folders, [Channel("red@1")], tmp_path / "eval", resamples=10)
    idle = Channel("red@1")
    assert evaluate(folders, [idle], tmp_path / "eval", resamples=10) == first
    assert idle.seen == 0
    with pytest.raises(UserError, match="other inputs or settings"):
        evaluate(folders, [idle], tmp_path / "eval", resamples=20)


def test_the_table_survives_strange_names(tmp_path: Path) -> None:
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    evaluate(
        folders, [Channel("red@1")], tmp_path / "eval", names=["a|b", "c\nd"], trained_with=["red@1"], resamples=10
    )
    table = (tmp_path / "eval/table.md").read_text()
    assert table.splitlines()[2].startswith("| red@1 † | a\\|b | 0.3922 |")
    assert table.splitlines()[3].startswith("| red@1 † | c d |")
    assert "no independent judge" in table


def test_folders_that_differ_are_named(tmp_path: Path) -> None:
    base = painted(tmp_path / "base", BASE)
    others = {
        "drawn with seed 1, .*base with 0": painted(tmp_path / "seed", BASE, seed=1),
        "image 3 is sample 0 of prompt 1 'x'": painted(tmp_path / "prompt", BASE, ("a <b>cat</b>", "x", "🦊 fox", "y")),
        "holds 6 images, .*base 8": painted(tmp_path / "short", BASE[:6]),
    }
    for message, other in others.items():
        with pytest.raises(UserError, match=message) as error:
            evaluate([base, other], [Channel("red@1")], tmp_path / "eval")
        assert str(other) in str(error.value)


def test_bad_arguments(tmp_path: Path) -> None:
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    red, out = Channel("red@1"), tmp_path / "eval"
    with pytest.raises(UserError, match="scorer 'red@1' is given twice"):
        evaluate(folders, [red, red], out)
    with pytest.raises(UserError, match="model name 'base' is given twice"):
        evaluate([folders[0], folders[0]], [red], out)
    with pytest.raises(UserError, match="1 model names given, 2 needed"):
        evaluate(folders, [red], out, names=["one"])
    with pytest.raises(UserError, match="--epsilon blue: no such scorer here; give one of red@1"):
        evaluate(folders, [red], out, epsilon={"blue": 0.1})
    with pytest.raises(UserError, match="--confidence 95"):
        evaluate(folders, [red], out, confidence=95)
    with pytest.raises(UserError, match=r"none/images.parquet|none/settings.json"):
        evaluate([folders[0], tmp_path / "none"], [red], out)
    assert not out.exists()
