"""What `evaluate` refuses: folders that do not belong together, options without meaning."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.painted import BASE, TUNED, Channel, Redness, painted
from tastemaker.base.errors import UserError
from tastemaker.evaluate.evaluation import evaluate


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


def test_bad_new_arguments(tmp_path: Path) -> None:
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    out = tmp_path / "eval"
    scorers = [Channel("red@1"), Channel("red@2"), Channel("green@1", 1)]
    for named, message in (
        ({"choose": "best:red"}, "--choose best:red: not understood; write median:SCORER"),
        ({"choose": "median"}, "--choose median: not understood"),
        ({"choose": "median:blue"}, "--choose blue: no such scorer here; give one of red@1"),
        ({"choose": "median:red"}, "--choose median:red: means red@1 and red@2; give one of these ids"),
        ({"embedding": scorers[0]}, "--embedding red@1: compares in no space of its own"),
        ({"classifier": Redness(), "splits": 9}, "--splits 9: there are 8 images a model; give at most that"),
        ({"splits": 0}, "--splits 0: must be at least 1"),
        ({"resamples": 0}, "--resamples 0: must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            evaluate(folders, scorers, out, **named)  # type: ignore[arg-type]
    table = pq.read_table(folders[0] / "images.parquet")
    pq.write_table(table.filter(pa.array([True, False] * 4)), folders[0] / "images.parquet")
    with pytest.raises(UserError, match="--choose median:red@1: there is one sample a prompt"):
        evaluate(folders[:1], scorers, out, choose="median:red@1")
    assert not out.exists()
