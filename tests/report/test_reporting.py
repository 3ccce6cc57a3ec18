"""The page: what is on it, that it is self-contained, and that nothing from data is more than text."""

from __future__ import annotations

import html
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tastemaker.base.errors import UserError
from tastemaker.report import page, reporting
from tastemaker.report.gallery import shorten
from tastemaker.report.page import Facts, Section, Table, Text, Tile, Tiles
from tastemaker.report.reporting import report

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report_example import HOSTILE, make


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Few prompts, so that the hostile ones are in every gallery."""
    return make(tmp_path_factory.mktemp("inputs"), count=8, pairs=10, hostile=True)


@pytest.fixture(scope="module")
def text(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    report(out, **inputs)
    return out.read_text(encoding="utf-8")


def titles(text: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", text)


def elements(text: str) -> tuple[set[str], set[str]]:
    """Names of all tags and of all attributes, as a parser of HTML sees them."""
    tags, attributes = set(), set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.add(tag)
            attributes.update(name for name, _ in attrs)

    Reader().feed(text)
    return tags, attributes


def test_all_sections_are_there(text: str) -> None:
    assert titles(text) == [
        "Result", "Before and after", "Which comparisons to trust", "Training", "Settings and versions"
    ]  # fmt: skip
    for heading in ("Largest gains of best 30 % by Q", "Largest losses", "Best pairs by Q", "Worst pairs by Q"):
        assert heading in text
    assert "All prompts" in text
    assert "10 comparisons" in text or "11 comparisons" in text


@pytest.mark.parametrize(
    ("names", "sections"),
    [
        (["eval"], ["Result"]),
        (["images"], ["Before and after"]),
        (["ranked"], ["Which comparisons to trust"]),
        (["runs"], ["Training"]),
        (["ranked", "runs"], ["Which comparisons to trust", "Training"]),
    ],
)
def test_sections_appear_only_with_their_input(
    inputs: dict[str, Any], tmp_path: Path, names: list[str], sections: list[str]
) -> None:
    report(tmp_path / "r.html", **{name: inputs[name] for name in names})
    assert titles((tmp_path / "r.html").read_text())[:-1] == sections


def test_the_page_asks_for_nothing(text: str) -> None:
    """Every source is a data URI, every link stays on the page or beside it, and the policy forbids the rest."""
    targets = re.findall(r'(?:src|href|action|poster|srcset|xlink:href)\s*=\s*"([^"]*)"', text)
    assert targets
    assert [t for t in targets if not t.startswith(("data:", "#", "report-data/"))] == []
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "default-src 'none'" in text


def test_what_comes_from_data_is_text(text: str) -> None:
    tags, attributes = elements(text)
    assert "script" not in tags
    assert not [name for name in attributes if name.startswith("on")]
    for prompt in HOSTILE:
        shown = page.printable(prompt)
        assert html.escape(shown, quote=False).replace('"', "&#34;").replace("'", "&#39;") in text
    assert "{{ 7 * 7 }}" in text
    assert "\0" not in text
    assert "\a" not in text
    assert "\ufffd" in text
    assert 'class="prompt" dir="auto">مربع' in text


def test_pictures_have_descriptions_and_sizes(text: str) -> None:
    pictures = re.findall(r"<img [^>]*>", text)
    assert len(pictures) == 4 * (8 + 4 + 4) + 2 * (5 + 5)
    for picture in pictures:
        assert re.search(r'alt="[^"]+"', picture)
        assert re.search(r'width="\d+" height="\d+"', picture)
    assert text.count('role="img" aria-label="') == 2 * 6


def test_bytes_are_the_same_every_time(inputs: dict[str, Any], text: str, tmp_path: Path) -> None:
    report(tmp_path / "report.html", **inputs)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == text
    names = sorted(path.name for path in (tmp_path / "report-data").iterdir() if path.name != ".lock")
    figures = ["hacking", "margins", "prompts", "quality", "training", "winrates"]
    assert names == sorted([*(f"{name}.csv" for name in figures), "summary.json"])


def test_figures_numbers_stand_beside_the_page(inputs: dict[str, Any], tmp_path: Path) -> None:
    report(tmp_path / "r.html", eval=inputs["eval"])
    lines = (tmp_path / "r-data/winrates.csv").read_text().splitlines()
    results = json.loads((inputs["eval"] / "metrics.json").read_text())["results"]
    first = next(entry for entry in results if entry["against_base"])
    assert lines[0] == "group,label,value,low,high"
    assert lines[1].split(",")[:3] == ["world-utility", first["model"], str(first["against_base"]["win_rate"])]
    assert len(lines) == 1 + 9


def test_scores_under_the_images_are_those_of_the_evaluation(inputs: dict[str, Any], text: str) -> None:
    """The first random prompt's base image and its three scores, in the order of the scorers."""
    import pyarrow.parquet as pq

    rows = pq.read_table(inputs["eval"] / "scores.parquet").to_pylist()
    scores = [f"{row['score']:#.3g}" for row in rows if row["model"] == "base" and row["prompt_index"] == 0]
    strip = re.search(r"<b><bdi>base</bdi></b>((?:<span>[^<]*</span>)+)", text)
    assert strip
    assert re.findall(r"<span>([^<]*)</span>", strip[1]) == scores


def test_extra_sections_stand_before_the_settings(inputs: dict[str, Any], tmp_path: Path) -> None:
    parts = (
        Text(("One & two.",)),
        Tiles((Tile("AUROC", "0.79", "of Q"),)),
        Table(("name", "value"), (("<b>", "1"),)),
        Facts("More", {"key": "value"}, "kept <as> it is"),
    )
    report(tmp_path / "r.html", runs=inputs["runs"], extra=[Section("Wrong labels", parts)], title="T", lead="L")
    text = (tmp_path / "r.html").read_text()
    assert titles(text) == ["Training", "Wrong labels", "Settings and versions"]
    for shown in ("One &amp; two.", "0.79", "&lt;b&gt;", "kept &lt;as&gt; it is", "<title>T</title>"):
        assert shown in text


def test_recipes_and_versions_are_shown(text: str) -> None:
    for shown in ("Recipe of qsd_dpo", "kind: dpo, beta: 2000", "torch 2.13.0", "Images: base"):
        assert shown in text
    assert "fingerprint" not in text


def test_a_random_subset_has_no_cut(inputs: dict[str, Any], tmp_path: Path) -> None:
    """When worse pairs were kept than left out, the order was not Q's and no cut is drawn."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ranked = tmp_path / "ranked"
    ranked.mkdir()
    kept, left = (pq.read_table(inputs["ranked"] / f"{name}.parquet") for name in ("pairs", "discarded"))
    pq.write_table(
        left.filter(pa.array([row == "cut" for row in left["reason"].to_pylist()])).drop("reason"),
        ranked / "pairs.parquet",
    )
    reasons = kept.append_column("reason", pa.array(["cut"] * len(kept)))
    pq.write_table(reasons, ranked / "discarded.parquet")
    report(tmp_path / "r.html", ranked=ranked)
    text = (tmp_path / "r.html").read_text()
    assert "are kept" not in text
    assert "Quality Q" in text


def test_images_that_were_judged_alone(inputs: dict[str, Any], tmp_path: Path) -> None:
    """The rows of the pairs, of every other one the loser taken away, of the others the winner."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("pairs", "discarded"):
        rows = pq.read_table(inputs["ranked"] / f"{name}.parquet").to_pylist()
        for number, row in enumerate(rows):
            absent = ("winner", "loser")[number % 2]
            row |= {absent: None, f"psi_{absent}": None}
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    report(tmp_path / "r.html", ranked=tmp_path, data=inputs["data"])
    text = (tmp_path / "r.html").read_text()
    assert "ψ of the images that were judged alone" in text
    assert "Best images by Q" in text
    shown = re.findall(r"alt=.(\w+) for: ", text)
    assert set(shown) == {"liked", "disliked"}
    assert len(shown) == 10
    assert not any(word in text for word in ("winner", "ψ nan"))


def test_large_images_are_made_smaller(tmp_path: Path) -> None:
    from PIL import Image

    from tastemaker.report.gallery import LARGEST, picture

    large = picture(Image.new("RGB", (1024, 512), "red"), alt="a", label="b")
    assert (large.width, large.height) == (LARGEST, LARGEST // 2)
    assert large.source.startswith("data:image/webp;base64,")
    small = picture(Image.new("RGB", (32, 32), "red"), alt="a", label="b")
    assert small.source.startswith("data:image/png;base64,")
    assert small.small
    assert not large.small


def test_long_prompts_are_cut() -> None:
    assert shorten("x" * 10_000, 500) == "x" * 499 + "…"
    assert shorten("x" * 500, 500) == "x" * 500


def test_errors_name_what_is_missing(inputs: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"pairs_seen": 1, "loss": 1}\n{"pairs')
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "nothing to report"),
        ({"eval": tmp_path}, "metrics.json: no such file"),
        ({"ranked": tmp_path}, "pairs.parquet: no such file"),
        ({"runs": [tmp_path]}, "metrics.jsonl: not readable"),
        ({"runs": [run]}, "metrics.jsonl: line 2: not JSON"),
        ({"images": inputs["images"][:2], "eval": inputs["eval"]}, "compares other images"),
        ({"ranked": inputs["ranked"], "data": tmp_path}, "no images here"),
    ]
    for given, message in cases:
        with pytest.raises(UserError, match=message):
            report(tmp_path / "r.html", **given)
    with pytest.raises(UserError, match=r"must end in \.html"):
        report(tmp_path / "r.pdf", **inputs)
    assert not (tmp_path / "r.html").exists()


def test_two_figures_of_one_name_are_our_mistake(inputs: dict[str, Any], tmp_path: Path) -> None:
    made = reporting.build(runs=inputs["runs"])
    with pytest.raises(AssertionError, match="same name"):
        page.write(tmp_path / "r.html", "t", made + made)
