"""`tastemaker score` and `tastemaker rank` as commands, and the Python of their documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.datasets import png, sha, write_data
from tastemaker.base.files import sha256_bytes
from tastemaker.cli.app import main
from tastemaker.data.comparison import Comparison
from tastemaker.rank.ranking import read_pairs


@pytest.fixture
def data(tmp_path: Path, shared_data: Path) -> Path:
    images = [(shared_data / "imagereward" / f"{place}.webp").read_bytes() for place in (1, 2, 3)]
    names = [sha256_bytes(image) for image in images]
    comparisons = [Comparison("x", "sea", names[0], names[1], "a"), Comparison("y", "sea", names[2], names[1], "b")]
    return write_data(tmp_path / "data", comparisons, images)


def test_score_then_rank(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(data), "--scorer", "jpeg-size"]) == 0
    assert re.search(r"^scored +3$", capsys.readouterr().out, re.MULTILINE)
    ranked = tmp_path / "ranked"
    assert main(["rank", str(data), "--scorer", "jpeg-size", "--fraction", "0.5", "--out", str(ranked)]) == 0
    assert re.search(r"^kept +1$", capsys.readouterr().out, re.MULTILINE)
    assert len(read_pairs(ranked)) == 1


def test_options_name_another_scorer(data: Path, tmp_path: Path) -> None:
    spec = "jpeg-size:quality=90,prefer=small"
    assert main(["score", str(data), "--scorer", spec]) == 0
    assert main(["rank", str(data), "--scorer", spec, "--out", str(tmp_path / "ranked")]) == 0
    assert pq.read_schema(tmp_path / "ranked" / "pairs.parquet").metadata[b"scorer"] == b'"jpeg-size@q90-small"'


def test_rows_in_quarantine_are_exit_code_3(tmp_path: Path) -> None:
    broken = png(2)[:-30]
    data = write_data(tmp_path, [Comparison("x", "cat", sha(1), sha256_bytes(broken), "a")], [png(1), broken])
    assert main(["score", str(data), "--scorer", "jpeg-size"]) == 3
    assert main(["score", str(data), "--scorer", "jpeg-size"]) == 3  # also when there is nothing left to do


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "DATA", "--scorer", "jpeg-sise"], "scorer 'jpeg-sise' is unknown, did you mean 'jpeg-size'?"),
        (["rank", "DATA", "--scorer", "jpeg-size", "--out", "OUT"], "run: tastemaker score DATA --scorer jpeg-size"),
        (["rank", "DATA", "--scorer", "jpeg-size:quality=9", "--out", "OUT"], "--scorer jpeg-size:quality=9"),
        (["rank", "DATA", "--scorer", "x", "--fraction", "2", "--out", "OUT"], "--fraction 2.0: must be above 0"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    places = {"DATA": str(data), "OUT": str(tmp_path / "out")}
    assert main([places.get(argument, argument) for argument in arguments]) == 2
    error = capsys.readouterr().err.replace(str(data), "DATA")
    assert message in error
    assert error.count("\n") == 1


def test_the_documented_python_runs(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (root / "docs" / "scoring-and-ranking.md").read_text(encoding="utf-8")
    monkeypatch.chdir(data.parent)
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code.replace("fraction=0.3", "fraction=1.0"), {})
    assert len(capsys.readouterr().out.split()) == 2


def test_every_scorer_has_its_row_in_the_documentation(root: Path) -> None:
    from tastemaker.cli.scorers import table

    text = (root / "docs" / "scoring-and-ranking.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in table())
