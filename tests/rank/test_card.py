"""The data card: what it counts, its header, and that its commands make the same ranking again."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from support.datasets import RedScorer, png, sha, write_data
from support.documents import commands
from tastemaker.cli import app
from tastemaker.data.comparison import Comparison
from tastemaker.rank.card import size_category
from tastemaker.rank.pairs import write_pairs
from tastemaker.rank.subset import subset
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.runner import score

REDS = [20, 40, 60, 90]
PAIRS = [
    Comparison("a", "cat", sha(90), sha(20), "a", "one.parquet"),  # 0.9 · (1 − 0.2) = 0.72
    Comparison("b", "dog", sha(60), sha(20), "a", "one.parquet"),  # 0.6 · (1 − 0.2) = 0.48
    Comparison("d", "cat", sha(40), sha(60), "b", "two.parquet"),  # 0.6 · (1 − 0.4) = 0.36
    Comparison("c", "cat", sha(20), sha(90), "a", "two.parquet"),  # 0.2 · (1 − 0.9) = 0.02, people and scorer disagree
    Comparison("e", "cat", sha(20), sha(40), "tie", "two.parquet"),
]
SINGLES = [Comparison(name, "cat", sha(red), None, "liked") for name, red in zip("xyz", REDS, strict=False)]


def ranked(folder: Path, options: str, comparisons: list[Comparison] = PAIRS) -> tuple[Path, Path]:
    """RANKED and DATA, by the command line."""
    data = write_data(folder / "data", comparisons, [png(red) for red in REDS])
    score(data, RedScorer(uses_prompt=False))
    assert app.main(["rank", str(data), "--scorer", "red", "--out", str(folder / "ranked"), *shlex.split(options)]) == 0
    return folder / "ranked", data


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def cells(text: str, name: str) -> list[str]:
    """The cells of the table row that begins with ``name``."""
    row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def test_counts_by_hand(tmp_path: Path) -> None:
    """Of four that can be ranked two are kept, a and b of two prompts; c is the one in which they disagree."""
    subset(*ranked(tmp_path, "--count 2"), tmp_path / "out")
    text = card(tmp_path / "out")
    counts = {name: cells(text, name)[0] for name in ("looked at", "dropped: cut", "dropped: tie", "kept")}
    assert counts == {"looked at": "5", "dropped: cut": "2", "dropped: tie": "1", "kept": "2"}
    assert cells(text, "quality_at_cut") == ["0.48"]
    assert "In 0.0% of the kept pairs ψ of the loser is above ψ of the winner; of all pairs" in text
    assert "could be ranked, in 25.0%." in text
    assert "- 2 comparisons from `one.parquet`\n- 3 comparisons from `two.parquet`" in text
    assert cells(text, "scorer") == ["red@1"]
    assert cells(text, "calibration") == ["kind identity"]


def test_prompts_by_hand(tmp_path: Path) -> None:
    """Kept one each of two prompts: e^(ln 2) = 2. Of all 3 and 1: e^(−¾ ln ¾ − ¼ ln ¼) = 1.755; Gini ½ − ¼ = 0.25."""
    subset(*ranked(tmp_path, "--count 2"), tmp_path / "out")
    head, prompts = card(tmp_path / "out").split("## Prompts")
    assert cells(prompts, "kept") == ["2", "2", "1", "50.0%", "2.0", "0.00"]
    assert cells(prompts, "all that could be ranked") == ["4", "2", "3", "75.0%", "1.8", "0.25"]
    assert "# 2 ranked pairs of images" in head


@pytest.mark.parametrize(
    "options",
    [
        "--fraction 0.5", "--count 3", "--min-quality 0.3", "", "--order random --count 2 --seed 4",
        "--calibration range:0.1,0.8", "--calibration standardise:2.5", "--only pairs --fraction 0.3",
    ],
)  # fmt: skip
def test_its_commands_make_the_same_again(options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from the same folder after both outputs are gone, they write the same bytes."""
    monkeypatch.chdir(tmp_path)
    subset(*ranked(Path("my files"), options), Path("out"), ["preference", "pickapic"], license="cc-by-4.0")
    again, export = commands(card(Path("out")))
    assert {"--order", "--seed"} & {*again} == {"--order", "--seed"} & {*shlex.split(options)}, "defaults are left out"
    before = Path("my files/ranked").rename("before")
    assert app.main(again[1:]) == 0
    for name in ("pairs.parquet", "discarded.parquet"):
        assert (Path("my files/ranked") / name).read_bytes() == (before / name).read_bytes()
    assert export == shlex.split(
        "tastemaker subset 'my files/ranked' --data 'my files/data' --out out "
        "--format pickapic preference --license cc-by-4.0"
    )


def test_metadata_that_no_option_of_the_cut_says_are_shown(tmp_path: Path) -> None:
    """Several scorers and a worth: both are in the table, and the command says that it is not all."""
    out, data = ranked(tmp_path, "--count 2")
    table = pq.read_table(out / "pairs.parquet")
    more = {
        "scorer": ["red@1", "blue@2"],
        "calibration": {},
        "cut": {"count": 2},
        "worth": {"by": "margin|x", "t": None},
    }
    write_pairs(out / "pairs.parquet", table, more)
    subset(out, data, tmp_path / "out")
    text = card(tmp_path / "out")
    assert cells(text, "scorer") == ["red@1, blue@2"]
    assert "| worth | by margin\\|x |" in text
    assert "# and the options that say worth (table above)\ntastemaker rank" in text
    assert "--scorer red@1 blue@2 --count 2" in text


def test_the_header_is_what_the_hub_reads(tmp_path: Path) -> None:
    given = ranked(tmp_path, "--count 2")
    subset(*given, tmp_path / "out", ["preference", "pickapic"])
    header = yaml.safe_load(card(tmp_path / "out").split("---\n")[1])
    assert (header["license"], header["license_name"]) == ("other", "unknown")
    assert header["task_categories"] == ["text-to-image"]
    assert header["size_categories"] == ["n<1K"]
    first, second = header["configs"]
    assert (first["config_name"], first["default"], second["config_name"]) == ("pickapic", True, "preference")
    for config in header["configs"]:
        (files,) = config["data_files"]
        assert files["split"] == "train"
        assert len(list((tmp_path / "out").glob(files["path"]))) == 1
    subset(*given, tmp_path / "licensed", license="cc-by-4.0")
    header = yaml.safe_load(card(tmp_path / "licensed").split("---\n")[1])
    assert (header["license"], "license_name" in header) == ("cc-by-4.0", False)
    assert "The selection is under cc-by-4.0." in card(tmp_path / "licensed")


def test_size_categories_by_hand() -> None:
    sizes = [size_category(rows) for rows in (1, 999, 1000, 50_000, 999_999, 10**6, 10**7)]
    assert sizes == ["n<1K", "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "n>10M"]


def test_single_images_have_a_card_of_their_own(tmp_path: Path) -> None:
    subset(*ranked(tmp_path, "--fraction 0.5", SINGLES), tmp_path / "out")
    text = card(tmp_path / "out")
    assert "ranked single images, each with its prompt and whether people liked it" in text
    assert "`liked`" in text
    assert "ψ(w)" not in text
    assert "of the kept pairs" not in text


def test_the_import_is_told_where_it_says_so(tmp_path: Path) -> None:
    """What comes from data stands as text in code, and a summary that says nothing is no error."""
    out, data = ranked(tmp_path, "--count 2")
    (data / "summary.json").write_text(json.dumps({"source": "o`w|ner/na\nme", "rows": 7, "quarantined": 2}))
    (out / "summary.json").unlink()
    subset(out, data, tmp_path / "out")
    text = card(tmp_path / "out")
    assert "- source: `o'w|ner/na me`\n- rows: `7`\n- quarantined: `2`" in text
    assert cells(text, "ranked by tastemaker") == ["unknown"]
    assert "is above ψ of the winner.\n" in text


def test_many_files_are_counted(tmp_path: Path) -> None:
    comparisons = [
        Comparison(f"{n}", "cat", sha(REDS[0]), sha(REDS[1]), "b", f"part {n:02d}", judge=str(n)) for n in range(11)
    ]
    subset(*ranked(tmp_path, "", comparisons), tmp_path / "out")
    text = card(tmp_path / "out")
    assert len(re.findall(r"^- 1 comparisons from `part ", text, re.MULTILINE)) == 8
    assert "- and 3 more files" in text


def test_real_images_keep_their_bytes_and_order(shared_data: Path, tmp_path: Path) -> None:
    """ImageReward's four samples as two pairs by JPEG size, out and read again."""
    images = [(shared_data / "imagereward" / f"{place}.webp").read_bytes() for place in (1, 2, 3, 4)]
    from tastemaker.base.files import sha256_bytes

    names = [sha256_bytes(image) for image in images]
    comparisons = [Comparison(str(at), "an ocean", names[at], names[at + 2], "a") for at in (0, 1)]
    data = write_data(tmp_path / "data", comparisons, images)
    score(data, JpegSize())
    assert app.main(["rank", str(data), "--scorer", "jpeg-size", "--out", str(tmp_path / "ranked")]) == 0
    said = subset(tmp_path / "ranked", data, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/pickapic/train-00000-of-00001.parquet").to_pylist()
    assert {row["jpg_0"] for row in rows} == set(images[:2])
    assert {row["jpg_1"] for row in rows} == set(images[2:])
    assert np.all(np.diff([row["quality"] for row in rows]) <= 0)
    assert said["image_bytes"] == sum(map(len, images))
