"""Which scorers taught a model, from the run's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tastemaker.evaluate.provenance import taught_by
from tastemaker.rank.pairs import SCHEMA, write_pairs

SCORERS = ["pickscore@1a2b3c4d5e6f-float16", "hpsv2@0123456789ab", "jpeg-size@q95"]


def images(folder: Path, **settings: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"seed": 0, "adapter": None, "model": "m", **settings}))
    return folder


def ranked(folder: Path, scorer: Any) -> Path:
    write_pairs(folder / "pairs.parquet", SCHEMA.empty_table(), {"scorer": scorer})
    return folder


def run(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(text)
    return folder


def test_an_adapter_of_a_run(tmp_path: Path) -> None:
    """RUN's recipe → its ranked pairs → the scorer; another revision of it is no independent judge either."""
    pairs = ranked(tmp_path / "best", "pickscore@ffffffffffff")
    place = run(tmp_path / "run", f"data:\n  pairs: {pairs}\n")
    drawn = images(tmp_path / "images", adapter=str(place / "pytorch_lora_weights.safetensors"))
    assert taught_by(drawn, SCORERS) == ["pickscore@1a2b3c4d5e6f-float16"]


def test_a_checkpoint_and_a_model_of_a_run(tmp_path: Path) -> None:
    pairs = ranked(tmp_path / "best", ["jpeg-size@q80", "hpsv2@0123456789ab"])
    place = run(tmp_path / "run", f"data:\n  pairs: [{{pairs: {pairs}, weight: 1}}, {{pairs: {tmp_path}/gone}}]\n")
    both = ["hpsv2@0123456789ab", "jpeg-size@q95"]
    checkpoint = place / "checkpoints/step-000100"
    checkpoint.mkdir(parents=True)
    for name in ("manifest.json", "weights.safetensors"):
        (checkpoint / name).touch()
    assert taught_by(images(tmp_path / "a", adapter=str(checkpoint)), SCORERS) == both
    assert taught_by(images(tmp_path / "b", model=str(place)), SCORERS) == both
    assert taught_by(images(tmp_path / "c", model=str(place / "model")), SCORERS) == both


@pytest.mark.parametrize(
    ("feedback", "found"),
    [
        ("{kind: scorer, scorers: ['jpeg-size:prefer=small']}", ["jpeg-size@q95"]),
        ("{kind: simulated, scorer: hpsv2}", ["hpsv2@0123456789ab"]),
        ("{kind: people}", []),
    ],
)
def test_rounds_of_d3po(tmp_path: Path, feedback: str, found: list[str]) -> None:
    place = run(tmp_path / "run", f"feedback: {feedback}\n")
    assert taught_by(images(tmp_path / "i", adapter=str(place / "x.safetensors")), SCORERS) == found


def test_where_nothing_is_known_nobody_is_named(tmp_path: Path) -> None:
    for number, text in enumerate(("data: [", "data: 3\n", "data:\n  pairs: nowhere\n", "feedback: none\n", "- a\n")):
        place = run(tmp_path / f"run{number}", text)
        assert taught_by(images(tmp_path / f"i{number}", adapter=str(place / "x.safetensors")), SCORERS) == []
    assert taught_by(images(tmp_path / "hub", model="owner/name"), SCORERS) == []


def test_a_recipe_above_a_model_is_not_its_own(tmp_path: Path) -> None:
    """What lies somewhere below a folder with some recipe was not trained by it."""
    pairs = ranked(tmp_path / "best", "jpeg-size@q95")
    run(tmp_path / "work", f"data:\n  pairs: {pairs}\n")
    assert taught_by(images(tmp_path / "i", model=str(tmp_path / "work/sd15")), SCORERS) == []
    other = tmp_path / "work/downloads/lora/x.safetensors"
    assert taught_by(images(tmp_path / "j", adapter=str(other)), SCORERS) == []


def test_pairs_that_no_scorer_ranked(tmp_path: Path) -> None:
    write_pairs(tmp_path / "plain/pairs.parquet", pa.Table.from_batches([], SCHEMA), {"cut": 1})
    place = run(tmp_path / "run", f"data:\n  pairs: {tmp_path}/plain\n")
    assert taught_by(images(tmp_path / "i", adapter=str(place / "x.safetensors")), SCORERS) == []
