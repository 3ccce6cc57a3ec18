"""The graph of the paper profile end to end, on tiny models and a few pairs: killed, and by two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import models, pictures

SMALL = """
import dataclasses, sys
from pathlib import Path
from tastemaker.cli.scorers import build
from tastemaker.reproduce import paper_profile, stage
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.reproduce import reproduce
from tastemaker.reproduce.runs import Shop

stage.PAUSE = 0.2
work, out = Path(sys.argv[1]), Path(sys.argv[2])
base = [f"{name}={work / name}" for name in ("sd15", "sdxl")]
made = paper_profile.profile(base, str(work / "pick"), work / "tune.txt", work / "test.txt")
models = {
    name: dataclasses.replace(
        model, steps=2, dtype="float32",
        tree={**model.tree, "dtype": "float32", "train": {**model.tree["train"], "batch_size": 2, "accumulate": 2}},
    )
    for name, model in made.models.items()
}
small = dataclasses.replace(
    made, models=models, checkpoints=2, chosen_by="small", share=lambda paper: max(paper, 0.3),
    rankers={"HPSv2": "jpeg-size"}, judges=(Judge("jpeg-size", "small"), Judge("jpeg-size:prefer=large", "large")),
)
said = reproduce(Shop(out, small, build), sys.argv[3:], (0,))
print("stages", said["stages"])
"""
"""The profile with scorers that need no download, and with steps of four pairs; all else is what the verb does."""
OUTS = (
    "data/ready.json", "pairs/*/summary.json", "cache/*/summary.json", "tuned/*.json", "runs/*/scores.json",
    "runs/*/seed-0/run/summary.json", "runs/*/seed-0/scores.json", "runs/*/seed-0/curve.json",
)  # fmt: skip
"""What the stages leave: one file each."""


def start(work: Path, out: Path, *only: str) -> subprocess.Popen[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SMALL, str(work), str(out), *only]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def through(child: subprocess.Popen[str]) -> int:
    """How many stages it did."""
    said, _ = child.communicate(timeout=900)
    assert child.returncode == 0
    return int(said.split()[-1])


def finished(out: Path) -> dict[str, int]:
    """The output of every stage that is through, and when it was written."""
    found = [path for pattern in OUTS for path in out.glob(pattern)]
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    models.save_tiny_sd(folder / "sd15")
    models.save_tiny_sdxl(folder / "sdxl")
    pictures.write_noise_pairs(folder / "pick", pairs=30)
    (folder / "tune.txt").write_text("a fox\n")
    (folder / "test.txt").write_text("a sailor\na bowl\n")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_graph_on_tiny_models_killed_and_run_again(work: Path, tmp_path: Path) -> None:
    """The same page and scores as without a kill, and nothing that was finished is done or written again."""
    whole, out, only = tmp_path / "whole", tmp_path / "killed", ("table1", "table2", "samples")
    assert through(start(work, whole, *only)) == len(finished(whole))
    child = start(work, out, *only)
    while child.poll() is None and not list(out.glob("runs/*/seed-0/scores.json")):
        time.sleep(0.05)
    assert child.poll() is None, "it was through before it could be killed"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    before = finished(out)
    assert any(path.endswith("run/summary.json") for path in before)
    assert not (out / "page").exists()
    assert through(start(work, out, *only)) == len(finished(whole)) - len(before) > 0
    after = finished(out)
    assert {path: after[path] for path in before} == before
    assert set(after) == set(finished(whole))
    tables = ("table1-sd15", "table1-sdxl", "table2", "samples-sd15", "samples-sdxl")
    for path in ("page/README.md", *(f"page/{key}.json" for key in tables)):
        assert (out / path).read_bytes() == (whole / path).read_bytes(), path
    page = (out / "page" / "README.md").read_text()
    assert all(json.loads((out / "page" / f"{key}.json").read_text())["title"] in page for key in tables)
    assert "published HPSv2" in page


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_in_one_folder_do_each_stage_once(work: Path, tmp_path: Path) -> None:
    """Started together: neither fails, and together they do as many stages as there are."""
    children = [start(work, tmp_path, "table1-sd15") for _ in range(2)]
    done = [through(child) for child in children]
    assert sum(done) == len(finished(tmp_path)) == 13
    assert min(done) > 0
    assert (tmp_path / "page" / "README.md").is_file()
