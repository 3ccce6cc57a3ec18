"""The verb `reproduce`: what it refuses, and what it says of costs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tastemaker.cli import app, reproduce

PAPER = "reproduce --profile paper --out out --tune-prompts tune.txt --test-prompts test.txt"


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tune.txt").write_text("a fox\n")
    Path("test.txt").write_text("a sailor\na fox in the snow\n")
    Path("file").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("reproduce --out out --only table9", "--only table9: no such table"),
        ("reproduce --out out --seeds 64", "--seeds 64: seeds are from 0 to 63"),
        ("reproduce --out out --seeds -1", "--seeds -1"),
        ("reproduce --out file", "--out file: is a file"),
        ("reproduce --out file/x", "--out file/x: file is a file; choose another folder"),
        ("reproduce --out file/x/y --dry-run", "--out file/x/y: file is a file; choose another folder"),
        ("reproduce --out out --safety a:unsafe=b", "--safety: the world profile brings its own"),
        ("reproduce --out out --class-names tune.txt", "--class-names: the world profile brings its own"),
        (f"{PAPER} --class-names tune.txt", "--class-names tune.txt: 1 names; give ImageNet's 1000"),
        (f"{PAPER} --classifier inception", "--classifier inception: give --class-names"),
        (f"{PAPER} --only inception", "--only inception: the Inception Score needs"),
        (f"{PAPER} --only table1", "hub does not give it"),
        (f"{PAPER} --only rates --safety hf-classifier:checkpoint=no,unsafe=b", "hf-classifier: no: no such file"),
        ("reproduce --out out --profile papers", "'papers'"),
        ("reproduce --only table1", "--out"),
        (f"{PAPER} --only tabel1", "--only tabel1: no such table"),
        ("reproduce --out out --data x", "--data: the world profile brings its own"),
        ("reproduce --out out --base sd15=x", "--base: the world profile brings its own"),
        ("reproduce --out out --tune-prompts tune.txt", "--tune-prompts: the world profile brings its own"),
        ("reproduce --out out --profile paper", "--tune-prompts: the paper profile needs a file of prompts"),
        (f"{PAPER} --data nowhere", "--data nowhere: no such file or folder"),
        (f"{PAPER} --base sdxl=nowhere", "--base sdxl=nowhere: no such folder"),
        (f"{PAPER} --base sd3=file", "--base sd3=file: write sd15=FOLDER and sdxl=FOLDER"),
        (PAPER.replace("test.txt", "tune.txt"), "'a fox' is in --test-prompts"),
        (PAPER.replace("test.txt", "no.txt"), "no.txt"),
    ],
)
def test_mistakes_are_one_line_before_anything_starts(
    line: str, words: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(shlex.split(line)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (work / "out").exists()


def test_a_dry_run_of_the_paper_says_hours_disk_and_what_is_measured(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(shlex.split(f"{PAPER} --only table1 dde --seeds 0 --dry-run")) == 0
    said = capsys.readouterr().out
    for words in ("one H200", "table1-sd15", "dde-sdxl-full", "hours", "GB to go", "measured", "counted", "pairs/s"):
        assert words in said
    assert not (work / "out").exists()


def test_hours_are_said_before_the_work_begins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(*_: object) -> dict[str, object]:
        print("BEGUN")
        return {"stages": 0}

    monkeypatch.setattr("tastemaker.reproduce.reproduce.reproduce", begin)
    assert app.main(shlex.split(f"{PAPER} --only table1")) == 0
    before, _, after = capsys.readouterr().out.partition("BEGUN")
    assert "hours" in before
    assert "one H200" in before
    assert "stages" in after
    assert app.main(shlex.split("reproduce --out out --only table1")) == 0
    assert capsys.readouterr().out.startswith("BEGUN")


def test_a_dry_run_of_the_world(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(shlex.split("reproduce --out out --only table2 --dry-run")) == 0
    assert "one core" in capsys.readouterr().out
    assert "page/README.md" in str(reproduce.run.__doc__)
