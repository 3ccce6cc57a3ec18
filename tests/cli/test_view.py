"""`tastemaker view` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.viewer_example import plain, write_evaluation, write_images
from tastemaker.cli.app import main


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    made = [write_images(tmp_path / name, ["a cat"], lambda *_: plain((9, 9, 9))) for name in ("base", "tuned")]
    return [str(folder) for folder in made]


def test_all_options(images: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = write_evaluation(tmp_path / "eval", ["base", "tuned"], 1, 1, {"hps@2.1": 0}, lambda *_: 0.5)
    out = tmp_path / "viewer"
    options = ["--eval", str(made), "--names", "before", "after", "--jpeg", "80", "--title", "Mine", "--out", str(out)]
    assert main(["view", *images, *options]) == 0
    said = capsys.readouterr().out
    assert "verb            view" in said
    assert "models          before, after" in said
    assert str(out / "index.html") in said
    assert "<title>Mine</title>" in (out / "index.html").read_text(encoding="utf-8")
    assert [path.suffix for path in (out / "images").iterdir()] == [".jpg"]
    assert main(["view", *images, *options]) == 0, "a finished one is recognised"


def test_a_mistake_is_one_line_and_code_2(
    images: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", *images, "--jpeg", "400", "--out", str(tmp_path / "viewer")]) == 2
    assert capsys.readouterr().err == "tastemaker: --jpeg 400: must be from 1 to 100, such as 90\n"
