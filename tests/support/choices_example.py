"""Files that people fill in about three prompts with three images each: written, filled in, read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tastemaker.base.errors import UserError
from tastemaker.rollout.choices import Choice, read

PROMPTS = ["a cat", 'a "big" dog,\nin two lines', "größe 🐈"]
SAMPLES = 3
HEADER = "prompt,image_a,image_b,label"
CAT = ["a cat,00000-0,00000-1,a", "a cat,00000-0,00000-2,b", "a cat,00000-1,00000-2,tie"]
CHOSEN = [Choice(0, 0, 1, "a"), Choice(0, 0, 2, "b"), Choice(0, 1, 2, "tie")]


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    (path := folder / "choices.csv").write_bytes("\n".join([header, *rows, ""]).encode())
    return path


def write_lines(folder: Path, *rows: Any) -> None:
    (folder / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rate(folder: Path, ratings: Any) -> None:
    (folder / "ratings.json").write_text(json.dumps(ratings))


def fill(path: Path, labels: list[str]) -> None:
    """As a spreadsheet does: read the cells, write them again."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == len(labels)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *([*row[:3], label] for row, label in zip(rows, labels, strict=True))])


def found(folder: Path) -> list[Choice] | str:
    return read(folder, PROMPTS, SAMPLES)


def refused(folder: Path, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        found(folder)
    assert "\n" not in str(error.value)
