"""`docs/data.md` names every reason and every limit."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tastemaker.data import images, prompts, store
from tastemaker.data.comparison import parse_label, parse_verdict
from tastemaker.data.images import FORMATS
from tastemaker.data.readers import KINDS, files, folder, hpdv2, hpdv3, imagereward
from tastemaker.data.readers.row import Problem

FIELDS = {"image_a", "image_b", "image_bytes", "image_path", "label_0", "prompt_id", "prompt_sha"}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "data.md").read_text(encoding="utf-8")


def reasons(source: Path) -> set[str]:
    """Texts of the program that look like reasons."""
    nodes = (node for path in source.rglob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    shape = re.compile(r"(image|prompt|row|label|repeat)_[a-z0-9_]+|unlabelled|same_image|repeat")
    return {text for text in texts if shape.fullmatch(text)} - FIELDS


def test_reasons(page: str, root: Path) -> None:
    table = page.partition("| reason | why |")[2].partition("\n\n")[0]
    names = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    assert set(names) == reasons(root / "src" / "tastemaker" / "data")
    assert len(names) == len(set(names))


def test_limits(page: str) -> None:
    assert f"at most {images.MAX_PIXELS // 10**6} million\npixels" in page
    assert f"more than {files.LARGEST_FILE >> 20} MiB" in page
    assert f"more than {prompts.MOST_CHARACTERS:,} characters" in page
    assert f"prompts of more than {prompts.LONG_CHARACTERS}\ncharacters" in page
    assert f"({store.SHARD_BYTES >> 20} MiB, or {store.SHARD_IMAGES}\nimages)" in page
    for name in FORMATS:
        assert name in page.upper()


def test_label_forms(page: str) -> None:
    row = page.partition("| first image |")[2].splitlines()[2]
    cells = [re.findall(r"`(.*?)`", cell) for cell in row.strip("|").split("|")]
    assert [{parse_label(form) for form in cell} for cell in cells[:3]] == [{"a"}, {"b"}, {"tie"}]


def test_verdict_forms(page: str) -> None:
    row = page.partition("| liked | disliked |")[2].splitlines()[2]
    cells = [re.findall(r"`(.*?)`", cell) for cell in row.strip("|").split("|")]
    assert [{parse_verdict(form) for form in cell} for cell in cells[:2]] == [{"liked"}, {"disliked"}]


def test_every_format_has_a_row_and_a_section(page: str) -> None:
    table = page.partition("| `--format` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(KINDS)
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^## (.*)$", page, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([\w-]+)\)", page)) <= headings


@pytest.mark.parametrize(
    ("title", "kind", "labels"),
    [
        ("HPDv2", hpdv2, ["a", "a", "a", "a"]),
        ("HPDv3", hpdv3, ["a"]),
        ("ImageReward", imagereward, ["a", "a", "tie"]),
    ],
)
def test_example_lists_are_read(page: str, title: str, kind: Any, labels: list[str]) -> None:
    """The second of ImageReward's lists has one image, which is no pair yet."""
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    items = [json.loads(line)[0] for line in re.findall(r"^\[\{.*\}\]$", section, re.MULTILINE)]
    assert all(map(kind._fits, items))
    pairs = [kind._pairs(item) for item in items]
    assert [pair.said.label for some in pairs if not isinstance(some, Problem) for pair in some] == labels


def test_example_rows_are_read(page: str) -> None:
    """The JSON rows of the page have the fields of a form."""
    examples = [json.loads(line) for line in re.findall(r'^\{"prompt".*\}$', page, re.MULTILINE)]
    assert [folder._form(example) for example in examples] == [folder.FORMS[1], folder.FORMS[2]]
