"""What `view` writes: files by hash, data as a script, contact sheets; the pages themselves are another test's."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.viewer_example import plain, write_evaluation, write_images
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.evaluate.contact_sheet import ASIDE, GAP, comparison_sheet, wrapped
from tastemaker.report.viewer import pictures, writing
from tastemaker.report.viewer.writing import file_names, view

PROMPTS = ("a cat", "</script><script>alert(1)</script>", 'שלום "x" \u2028 \\')
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """The base draws all red; the tuned model the first prompt's first sample as the base, the rest its own."""
    groups = {"category": ["animals", "", "__proto__"], "style": ["b", "a", "b"]}
    base = write_images(tmp_path / "base", PROMPTS, lambda *_: plain(RED), 2, groups)
    tuned = write_images(
        tmp_path / "tuned", PROMPTS, lambda index, sample: plain((255 - 10 * (2 * index + sample), 0, 0)), 2
    )
    return [base, tuned]


def score(scorer: str, model: str, prompt: int, sample: int) -> float | None:
    """Prompt 2, sample 1 of the tuned model has no score by hps."""
    if (scorer, model, prompt, sample) == ("hps@2.1", "model 2", 2, 1):
        return math.nan
    return 0.1 * (prompt + 1) + (sample if model == "model 2" else 0) + (scorer == "trained@1")


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    epsilon = {"hps@2.1": 0.25, "trained@1": 0.0}
    return write_evaluation(tmp_path / "eval", ("model 1", "model 2"), 3, 2, epsilon, score)


def data(out: Path) -> dict[str, Any]:
    """The script's data; a script of this form is JSON after the assignment."""
    text = (out / "data.js").read_text(encoding="ascii")
    found = re.fullmatch(r"globalThis\.VIEWER = (.*);\n", text, re.DOTALL)
    assert found
    result: dict[str, Any] = json.loads(found[1])
    return result


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}


def test_equal_images_are_stored_once_under_their_hash(images: list[Path], tmp_path: Path) -> None:
    """Six reds are one; of the tuned model's six one is that red again: six files in all."""
    done = view(images, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out/images").iterdir()}
    assert (len(names), done["images"]) == (6, 6)
    red = files.sha256_bytes(plain(RED))[:24] + ".png"
    assert (tmp_path / "out/images" / red).read_bytes() == plain(RED)
    base, tuned = data(tmp_path / "out")["models"]
    assert base == {"name": "base", "width": 16, "height": 16, "files": [red] * 6}
    assert tuned["files"][0] == red
    assert set(tuned["files"]) == names


def test_data_by_hand(images: list[Path], evaluation: Path, tmp_path: Path) -> None:
    """float32 in the fewest digits (0.1, not 0.10000000149…); groups in order with places; no scorers by themselves."""
    view(images, tmp_path / "out", evaluation=evaluation)
    found = data(tmp_path / "out")
    assert (found["prompts"], found["samples"], found["kept"]) == (list(PROMPTS), 2, None)
    assert found["groups"] == [
        {"name": "category", "values": ["", "__proto__", "animals"], "of": [2, 0, 1]},
        {"name": "style", "values": ["a", "b"], "of": [1, 0, 1]},
    ]
    hps, trained = found["scorers"]
    assert (hps["name"], hps["epsilon"], hps["marks"]) == ("hps", 0.25, ["", ""])
    assert (trained["name"], trained["epsilon"], trained["marks"]) == ("trained", 0.0, ["†", "†"])
    assert hps["scores"] == [[0.1, 0.1, 0.2, 0.2, 0.3, 0.3], [0.1, 1.1, 0.2, 1.2, 0.3, None]]
    assert [model["name"] for model in found["models"]] == ["model 1", "model 2"]
    view(images, tmp_path / "bare")
    assert data(tmp_path / "bare")["scorers"] == []


def test_data_holds_exactly_the_stored_scores(tmp_path: Path) -> None:
    """Read back as float32, every score is the stored one bit for bit."""
    values = np.random.default_rng(0).normal(20, 5, 50).astype(np.float32)
    folder = write_images(tmp_path / "base", [f"{n}" for n in range(50)], lambda *_: plain(RED))
    by_prompt = write_evaluation(tmp_path / "e", ["base"], 50, 1, {"x@1": 0}, lambda *key: float(values[key[2]]))
    view([folder], tmp_path / "out", evaluation=by_prompt)
    stored = np.array(data(tmp_path / "out")["scorers"][0]["scores"][0])
    assert stored.astype(np.float32).tolist() == values.tolist()
    assert max(len(repr(value)) for value in stored.tolist()) <= 11


def test_the_sample_that_the_evaluation_kept_is_known(images: list[Path], tmp_path: Path) -> None:
    """`median:` of two samples keeps the lower one: of the base's equal ones the first, of the tuned one's sample 0."""
    made = write_evaluation(
        tmp_path / "e", ("base", "tuned"), 3, 2, {"chose@1": 0},
        lambda _, model, prompt, sample: -sample if (model, prompt) == ("tuned", 1) else sample,
        choose="median:chose@1",
    )  # fmt: skip
    view(images, tmp_path / "out", evaluation=made)
    found = data(tmp_path / "out")
    assert found["kept"] == [[0, 0, 0], [0, 1, 0]]
    assert found["scorers"][0]["marks"] == ["‡", "‡"]
    assert "kept of each model" in (tmp_path / "out/index.html").read_text(encoding="utf-8")


def test_jpeg_is_smaller_and_named_by_what_was_generated(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(100, 140, (64, 64, 3), dtype=np.uint8)
    buffer = tmp_path / "x.png"
    Image.fromarray(noise).save(buffer)
    folder = write_images(tmp_path / "base", ["a"], lambda *_: buffer.read_bytes())
    view([folder], tmp_path / "out", jpeg=90)
    (file,) = (tmp_path / "out/images").iterdir()
    assert file.name == files.sha256_bytes(buffer.read_bytes())[:24] + ".jpg"
    assert file.stat().st_size < buffer.stat().st_size / 2
    with Image.open(file) as image:
        assert (image.format, image.size) == ("JPEG", (64, 64))
        assert np.abs(np.asarray(image, np.int16) - noise).mean() < 8


def test_the_page_asks_for_nothing_else(images: list[Path], evaluation: Path, tmp_path: Path) -> None:
    """A policy without inline scripts, only files of the folder, and no text of a user's but the title in the HTML."""
    view(images, tmp_path / "out", evaluation=evaluation, title="<b>mine</b> & yours")
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; script-src 'self' file:;")
    assert "unsafe" not in policy
    assert "<title>&lt;b&gt;mine&lt;/b&gt; &amp; yours</title>" in page
    for name in re.findall(r'(?:src|href)="([^"#:]+)"', page):
        assert (tmp_path / "out" / name).is_file()
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", page) == []
    scripts = "".join((tmp_path / "out" / name).read_text(encoding="utf-8") for name in writing.SCRIPTS)
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|fetch\(|XMLHttp|import\(", scripts)
        == []
    )
    assert "alert(1)" not in page
    assert "://" not in page + scripts


def test_the_same_input_gives_the_same_bytes_and_a_finished_one_is_left_alone(
    images: list[Path], evaluation: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        view(images, tmp_path / name, evaluation=evaluation)
    paths = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    for path in paths:
        if path.name != "summary.json":
            assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    before = stamps(tmp_path / "one")
    view(images, tmp_path / "one", evaluation=evaluation)
    assert stamps(tmp_path / "one") == before
    with pytest.raises(UserError, match="choose another --out"):
        view(images, tmp_path / "one", evaluation=evaluation, jpeg=80)


def test_a_killed_run_goes_on(images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that are there are not written again, and what a killed writer left is cleared away."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(writing.data, "document", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            view(images, out)
    (out / "images/.tmp-1-x.png").write_bytes(b"half")
    before = {path.name: path.stat().st_mtime_ns for path in (out / "images").glob("*.png") if path.name[0] != "."}
    monkeypatch.setattr(pictures, "_write", lambda *_: 1 / 0)
    view(images, out)
    assert {path.name: path.stat().st_mtime_ns for path in (out / "images").iterdir()} == before


def test_contact_sheets(images: list[Path], tmp_path: Path) -> None:
    """One for the tuned model, base beside it; with a third model also one of all; of one model its own."""
    third = write_images(tmp_path / "x", PROMPTS, lambda *_: plain(BLUE), 2)
    assert view(images, tmp_path / "two")["contact_sheets"] == ["contact-tuned.png"]
    done = view([*images, third], tmp_path / "three", names=["base", "a/b", "a b"])
    assert done["contact_sheets"] == ["contact-a-b-2.png", "contact-a-b-3.png", "contact.png"]
    assert view(images[:1], tmp_path / "one")["contact_sheets"] == ["contact-base.png"]
    with Image.open(tmp_path / "three/contact-a-b-3.png") as sheet:
        base, own = (ASIDE + GAP + column * (96 + GAP) + 48 for column in (0, 1))
        assert sheet.size[0] == ASIDE + 2 * (96 + GAP) + GAP
        assert [sheet.getpixel((x, sheet.height - 50)) for x in (base, own)] == [RED, BLUE]
    with Image.open(tmp_path / "three/contact.png") as sheet:
        assert sheet.size == (ASIDE + 3 * (96 + GAP) + GAP, sheet.height)
        assert sheet.getpixel((ASIDE + GAP + 2 * (96 + GAP) + 48, sheet.height - 50)) == BLUE


def test_comparison_sheet_by_hand() -> None:
    """16 px images stand six times enlarged in their places; the texts stand aside and above, on white."""
    rows = [("first", [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)])]
    rows.append(("second", [Image.new("RGB", (16, 16), colour) for colour in (BLUE, RED)]))
    sheet = comparison_sheet(["one", "two"], rows)
    top = sheet.height - (2 * 100 + GAP)
    centres = [(ASIDE + GAP + 48 + 100 * column, top + GAP + 48 + 100 * row) for row in (0, 1) for column in (0, 1)]
    assert [sheet.getpixel(place) for place in centres] == [RED, BLUE, BLUE, RED]
    for box in ((0, 0, ASIDE, top), (ASIDE, top, sheet.width, top + GAP)):
        assert sheet.crop(box).getcolors() == [((box[2] - box[0]) * (box[3] - box[1]), WHITE)]
    for box in ((ASIDE, 0, sheet.width, top), (0, top, ASIDE, top + 40), (0, top + 100, ASIDE, top + 140)):
        assert len(sheet.crop(box).getcolors() or []) > 2, "no text there"


def test_wrapped() -> None:
    assert wrapped("a large red\0 circle on the left", 12, 2) == "a large red\ncircle on…"
    assert wrapped("x" * 30, 10, 9) == "\n".join(["x" * 10] * 3)
    assert wrapped("", 10, 3) == ""


def test_file_names_are_safe_and_differ() -> None:
    assert file_names(["base", "../x", "a b", "a/b", "שלום", "???"]) == ["base", "x", "a-b-3", "a-b-4", "שלום", "model"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"jpeg": 0}, "--jpeg 0: must be from 1 to 100"),
        ({"names": ["one"]}, "--names: 1 names for 2 folders"),
        ({"names": ["one", "one"]}, "two models are called 'one'; name them with --names"),
    ],
)
def test_bad_input(images: list[Path], tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        view(images, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_folders_that_differ_are_named(images: list[Path], evaluation: Path, tmp_path: Path) -> None:
    other = write_images(tmp_path / "other", ["a dog", *PROMPTS[1:]], lambda *_: plain(RED), 2)
    with pytest.raises(UserError, match=r"other: image 1 is sample 0 of prompt 0 'a dog'"):
        view([images[0], other], tmp_path / "out")
    with pytest.raises(UserError, match="compares other images than --images"):
        view(images[:1], tmp_path / "out", evaluation=evaluation)
    with pytest.raises(UserError, match="no images given"):
        view([], tmp_path / "out")
