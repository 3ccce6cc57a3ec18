"""Prompt files: every form, and errors that name file and row."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.base.errors import UserError
from tastemaker.evaluate.prompts import PromptSet, read_prompt_set, read_prompts


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
    """Counts as published: 12 categories and 11 challenges (arXiv:2206.10789), 200 prompts, 6 tags (2310.11513)."""
    parti = read_prompt_set(shared_data / "prompts/PartiPrompts.tsv")
    assert (parti.layout, len(parti.prompts), parti.name) == ("PartiPrompts", 1632, "PartiPrompts.tsv")
    assert {field: len(set(values)) for field, values in parti.groups.items()} == {"category": 12, "challenge": 11}
    lines = (shared_data / "prompts/PartiPrompts.tsv").read_text("utf-8").splitlines()[1:]
    columns = zip(parti.prompts, parti.groups["category"], parti.groups["challenge"], strict=True)
    assert list(columns) == [tuple(line.split("\t")[:3]) for line in lines]
    draw = read_prompt_set(shared_data / "prompts/drawbench.txt")
    assert (draw.layout, len(draw.prompts), draw.prompts[0], draw.groups) == ("text", 200, "A red colored car.", {})
    geneval = read_prompt_set(shared_data / "geneval/evaluation_metadata.jsonl")
    assert (geneval.layout, len(geneval.prompts), len(set(geneval.groups["tag"]))) == ("GenEval", 553, 6)
    assert (geneval.prompts[0], geneval.groups["tag"][0]) == ("a photo of a bench", "single_object")
    benchmark = read_prompt_set(shared_data / "imagereward/benchmark-prompts.json")
    assert (benchmark.layout, len(benchmark.prompts)) == ("ImageReward", 100)
    assert benchmark.prompts[0] == "a concept art of a vehicle, cyberpunk"


def test_drawbench_as_a_table_and_pick_a_pic(tmp_path: Path) -> None:
    drawbench = written(tmp_path / "d.csv", 'Prompts,Category\n"A ""cat"", red.",Colors\nA dog.,Counting\n')
    assert read_prompt_set(drawbench) == PromptSet(
        prompts=('A "cat", red.', "A dog."),
        groups={"category": ("Colors", "Counting")},
        name="d.csv",
        sha256=hashlib.sha256(drawbench.read_bytes()).hexdigest(),
        layout="DrawBench",
    )
    columns = {"jpg_0": [b"x"] * 2, "jpg_1": [b"y"] * 2, "caption": ["a cat", "a dog"], "label_0": [1.0, 0.5]}
    pq.write_table(pa.table(columns), tmp_path / "validation_unique.parquet")
    pick = read_prompt_set(tmp_path / "validation_unique.parquet")
    assert (pick.layout, pick.prompts, pick.groups) == ("Pick-a-Pic", ("a cat", "a dog"), {})


def hpsv2(folder: Path) -> Path:
    """HPSv2's benchmark, two prompts a style; beside the four lists the hub's folder holds a fifth."""
    folder.mkdir()
    for style in ("photo", "anime", "paintings", "concept-art", "drawbench"):
        written(folder / f"{style}.json", json.dumps([f"{style} 1", f"{style} 2"]))
    return folder


def test_hpsv2s_four_styles(tmp_path: Path) -> None:
    folder = hpsv2(tmp_path / "benchmark")
    found = read_prompt_set(folder)
    names = ("anime", "concept-art", "paintings", "photo")
    assert found.prompts == tuple(f"{style} {number}" for style in names for number in (1, 2))
    assert found.groups == {"style": tuple(style for style in names for _ in (1, 2))}
    hashes = "".join(hashlib.sha256((folder / f"{style}.json").read_bytes()).hexdigest() for style in names)
    assert (found.layout, found.name) == ("HPSv2", "benchmark")
    assert found.sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    alone = read_prompt_set(folder / "concept-art.json")
    assert (alone.layout, alone.groups) == ("HPSv2", {"style": ("concept-art",) * 2})
    assert (read_prompt_set(folder / "drawbench.json").layout, read_prompts(folder / "drawbench.json")[1]) == (
        "list", "drawbench 2"
    )  # fmt: skip


def test_a_folder_that_is_not_hpsv2s(tmp_path: Path) -> None:
    folder = hpsv2(tmp_path / "benchmark")
    written(folder / "photo.json", '[{"prompt": "a cat"}]')
    with pytest.raises(UserError, match=r"photo\.json: HPSv2 has a list of prompts alone here"):
        read_prompt_set(folder)
    (folder / "photo.json").unlink()
    with pytest.raises(UserError, match=r"benchmark: a folder without photo\.json, so it is not HPSv2's"):
        read_prompt_set(folder)


def test_groups_are_found_by_name_in_every_form(tmp_path: Path) -> None:
    """Fields in one order whatever the file's; a value that is missing is "", a number is written out."""
    rows = [("a cat", "Animals", 1), ("a dog", "", 2), ("a cat", "Vehicles", 3)]
    csv = "TAG,id, Prompt ,Category\n" + "".join(f"{tag},x,{text},{category}\n" for text, category, tag in rows)
    jsonl = [{"prompt": text, "category": category or None, "Tag": tag} for text, category, tag in rows]
    del jsonl[1]["category"]
    paths = [
        written(tmp_path / "p.csv", csv),
        written(tmp_path / "p.tsv", csv.replace(",", "\t")),
        written(tmp_path / "p.jsonl", "\n".join(map(json.dumps, jsonl))),
        written(tmp_path / "p.json", json.dumps(jsonl)),
    ]
    columns = {"TAG": [1, 2, 3], "Category": ["Animals", None, "Vehicles"], "caption": ["a cat", "a dog", "a cat"]}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    for path in (*paths, tmp_path / "p.parquet"):
        found = read_prompt_set(path)
        assert found.groups == {"category": ("Animals", "", "Vehicles"), "tag": ("1", "2", "3")}
        assert (list(found.groups), found.layout) == (["category", "tag"], "table")
        assert found.record()["fields"] == ["category", "tag"]


def test_a_number_that_is_missing_is_no_group(tmp_path: Path) -> None:
    """pandas writes a column of numbers with a gap as floats with a NaN."""
    pq.write_table(pa.table({"prompt": ["a", "b"], "tag": [2.0, float("nan")]}), tmp_path / "p.parquet")
    assert read_prompt_set(tmp_path / "p.parquet").groups == {"tag": ("2.0", "")}


def test_blank_prompts_take_their_groups_with_them(tmp_path: Path) -> None:
    found = read_prompt_set(written(tmp_path / "p.csv", "prompt,style\na,1\n ,2\n,3\n\nb,4\nc\n"))
    assert (found.prompts, found.groups) == (("a", "b", "c"), {"style": ("1", "4", "")})


def test_a_repeated_prompt_keeps_its_first_groups() -> None:
    given = PromptSet(("a", "b", "a", "c"), {"tag": ("1", "2", "3", "4")}, "n", "s", "table")
    assert given.distinct() == PromptSet(("a", "b", "c"), {"tag": ("1", "2", "4")}, "n", "s", "table")
    assert given.distinct(2) == PromptSet(("a", "b"), {"tag": ("1", "2")}, "n", "s", "table")


def test_quotes_in_a_tsv(tmp_path: Path) -> None:
    """Tables of TSV have no quoting as a rule, but spreadsheets quote; what works out as quoting is."""
    bare = written(tmp_path / "bare.tsv", 'Prompt\tCategory\n"a b" on a wall\tX\nshe said "no\tY\n')
    assert read_prompts(bare) == ['"a b" on a wall', 'she said "no']
    quoted = written(tmp_path / "quoted.tsv", 'Prompt\tCategory\n"""a b"" on\ta wall"\tX\n')
    assert read_prompts(quoted) == ['"a b" on\ta wall']


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
        ("p.jsonl", '{"prompt": 3}', "line 1: 'prompt' holds no text but int"),
        ("p.jsonl", '{"prompt": null}', "line 1: 'prompt' holds no text but NoneType"),
        ("p.jsonl", '{"prompt": "a\\ud83d"}', "line 1: half of a surrogate pair"),
        ("p.jsonl", '{"prompt": "a", "tag": "\\ud83d"}', "line 1: half of a surrogate pair"),
        ("p.jsonl", '{"prompt": "a"}\n\n{"text": "b"}', "line 3: no column 'prompt' or 'caption' among 'text'"),
        ("p.jsonl", '{"prompt": "a", "tag": ["x"]}', "line 1: 'tag' holds no text but list"),
        ("p.jsonl", '{"prompt": "a", "Prompts": "b"}', "line 1: more than one column of prompts among 'prompt', 'Pro"),
        ("p.csv", "Prompt,PROMPT\na,b\n", "more than one column of prompts among 'Prompt', 'PROMPT'; rename"),
        ("p.csv", "prompt,prompt\na,b\n", "more than one column of prompts among 'prompt', 'prompt'"),
        ("p.csv", "prompt,tag,Tag\na,b,c\n", "columns 'tag', 'Tag' are one field"),
        ("p.csv", "prompt\na cat\na dog, red\n", "line 3: has 2 values, the header 1"),
        ("p.csv", 'prompt\na cat\n"a dog\n', "line 3: unexpected end of data"),
        ("p.csv", 'prompt\n"a" cat\n', "line 2: ',' expected after"),
        ("p.json", '["a", 3]', "item 2: 'prompt' holds no text but int"),
        ("p.json", '[{"prompt": "a"}, "b"]', "item 2: not an object"),
        ("p.json", '[{"prompt": "a"}, {"prompt": 1}]', "item 2: 'prompt' holds no text but int"),
        ("p.json", '{"prompts": ["a"]}', "no list but a dict"),
        ("p.json", '["a"', "not JSON"),
        ("p.json", "[" * 100_000, "not JSON"),
        ("p.json", "[]", "holds no prompt"),
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
    with pytest.raises(UserError, match=r"p\.csv: byte 12: not UTF-8"):
        read_prompts(written(tmp_path / "p.csv", "prompt\na caf\xe9", "latin-1"))
    with pytest.raises(UserError, match="row 1: 'prompt' holds no text but int"):
        read_prompts(tmp_path / "p.parquet")
