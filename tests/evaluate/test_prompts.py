"""Prompt files: every form, and errors that name file and row."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.base.errors import UserError
from tastemaker.evaluate.prompts import read_prompts


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_text_has_one_prompt_a_line(tmp_path: Path) -> None:
    path = written(tmp_path / "p.txt", "a cat\r\n\n  \nein Bär 🐻, \u2028still one\na cat")
    assert read_prompts(path) == ["a cat", "ein Bär 🐻, \u2028still one", "a cat"]


def test_byte_order_mark_is_no_part_of_the_prompt(tmp_path: Path) -> None:
    assert read_prompts(written(tmp_path / "p.txt", "a cat", "utf-8-sig")) == ["a cat"]


@pytest.mark.parametrize("column", ["prompt", "Prompt", "caption"])
def test_tables_by_column(tmp_path: Path, column: str) -> None:
    csv = written(tmp_path / "p.csv", f'id,{column}\n1,"a cat, red"\n2,a dog\n')
    tsv = written(tmp_path / "p.tsv", f"{column}\tCategory\na cat, red\tAnimals\na dog\tAnimals\n")
    jsonl = written(tmp_path / "p.jsonl", json.dumps({column: "a cat, red"}) + "\n\n" + json.dumps({column: "a dog"}))
    pq.write_table(pa.table({"x": [1, 2, 3], column: ["a cat, red", None, "a dog"]}), tmp_path / "p.parquet")
    for path in (csv, tsv, jsonl, tmp_path / "p.parquet"):
        assert read_prompts(path) == ["a cat, red", "a dog"]


def test_real_prompt_lists(shared_data: Path) -> None:
    assert len(read_prompts(shared_data / "prompts/PartiPrompts.tsv")) == 1632
    assert len(read_prompts(shared_data / "prompts/drawbench.txt")) == 200
    assert len(read_prompts(shared_data / "geneval/evaluation_metadata.jsonl")) == 553


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", " \n", "holds no prompt"),
        ("p.doc", "a cat", "unknown kind"),
        ("p.csv", "id,text\n1,a cat\n", "no column 'prompt' or 'caption' among 'id', 'text'"),
        ("p.csv", "", "no column"),
        ("p.csv", "id,prompt\n1,a cat\n2\n", "line 3: no value"),
        ("p.jsonl", '{"prompt": "a"}\n{"prompt": ', "line 2: not JSON"),
        ("p.jsonl", '{"prompt": "a"}\n["b"]', "line 2: not an object"),
        ("p.jsonl", '{"prompt": 3}', "line 1: 'prompt' is not a text"),
        ("p.jsonl", '{"prompt": "a\\ud83d"}', "prompt 1: half of a surrogate pair"),
        ("p.parquet", "PAR1 no", "not readable as Parquet"),
    ],
)
def test_errors_name_file_and_row(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(UserError, match=message) as error:
        read_prompts(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_other_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_prompts(tmp_path / "none.txt")
    with pytest.raises(UserError, match="byte 2: not UTF-8"):
        read_prompts(written(tmp_path / "p.txt", "caf\xe9"[1:], "latin-1"))
    pq.write_table(pa.table({"prompt": [1, 2]}), tmp_path / "p.parquet")
    with pytest.raises(UserError, match="holds no text but int"):
        read_prompts(tmp_path / "p.parquet")
