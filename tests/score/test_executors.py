"""Whoever carries a run out, with however many workers: the tables are equal byte for byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import score_by
from support.noisy import noisy_data
from tastemaker.base.errors import UserError
from tastemaker.score.executors import executor
from tastemaker.score.runner import score_all
from tastemaker.score.scores import FOLDER

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noisy_data(tmp_path_factory.mktemp("executors") / "data", images=30, comparisons=60, prompts=7)


@pytest.fixture(scope="module")
def alone(data: Path) -> dict[str, bytes]:
    copy = shutil.copytree(data, data.with_name("alone"))
    score_all(copy, score_by.scorers(), score_by.SETTINGS)
    return tables(copy)


def tables(data: Path) -> dict[str, bytes]:
    found = {path.parent.name: path.read_bytes() for path in sorted((data / FOLDER).glob("*/scores.parquet"))}
    assert len(found) == len(score_by.scorers())
    return found


def command(data: Path, *words: str, launcher: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launcher, score_by.__file__, str(data), *words]


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(TESTS)]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}


def test_local_processes(data: Path, alone: dict[str, bytes]) -> None:
    copy = shutil.copytree(data, data.with_name("local"))
    subprocess.run(command(copy, "local", "3"), check=True, env=environment())
    assert tables(copy) == alone


def test_torchrun_ranks_share_the_work(data: Path, alone: dict[str, bytes]) -> None:
    copy, log = shutil.copytree(data, data.with_name("ranks")), data.with_name("ranks.log")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    subprocess.run(command(copy, "auto", "0", str(log), launcher=launcher), check=True, env=environment())
    assert tables(copy) == alone
    assert looked(log) == 30


def looked(log: Path) -> int:
    """How many images the trunk was shown."""
    lines = log.read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("images"))


@pytest.mark.slow
def test_ray_data(data: Path, alone: dict[str, bytes]) -> None:
    pytest.importorskip("ray")
    copy = shutil.copytree(data, data.with_name("ray"))
    subprocess.run(command(copy, "ray", "2"), check=True, env=environment())
    assert tables(copy) == alone


@pytest.mark.parametrize("victim", ["main", "worker"])
def test_killed_workers_leave_a_run_that_goes_on(data: Path, alone: dict[str, bytes], victim: str) -> None:
    copy, log = shutil.copytree(data, data.with_name(f"killed-{victim}")), data.with_name(f"{victim}.log")
    run = subprocess.Popen(command(copy, "local", "2", str(log)), env=environment(), stderr=subprocess.PIPE, text=True)
    workers = wait_for_shards(copy, run)
    os.kill(run.pid if victim == "main" else workers[0], signal.SIGKILL)
    _, error = run.communicate(timeout=60)
    assert run.returncode == (-signal.SIGKILL if victim == "main" else 1)
    assert victim == "main" or "a worker was killed, perhaps for want of memory" in error
    wait_until_gone(workers)
    score_all(copy, score_by.scorers(log), score_by.SETTINGS)
    assert tables(copy) == alone
    assert looked(log) - 30 <= 2 * (score_by.SETTINGS.shard_rows + 6)  # a block for each of two workers


def wait_for_shards(data: Path, run: subprocess.Popen[str]) -> list[int]:
    """Process ids of the workers, once something has been written."""
    while not list((data / FOLDER).glob("*/shard-*")):
        assert run.poll() is None, "ended before anything was written"
        time.sleep(0.01)
    children = subprocess.run(["pgrep", "-P", str(run.pid), "-f", "spawn_main"], capture_output=True, text=True)
    return [int(line) for line in children.stdout.split()]


def wait_until_gone(processes: list[int]) -> None:
    """Workers end with their parent."""
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{process}").exists() and not zombie(process) for process in processes):
        if time.monotonic() > deadline:
            for process in processes:
                os.kill(process, signal.SIGKILL)
            pytest.fail("orphaned workers live on")
        time.sleep(0.05)


def zombie(process: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True


def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--workers 0: must be at least 1"):
        executor("local", 0)
    with pytest.raises(UserError, match="--executor torchrun: start it with torchrun"):
        executor("torchrun")
    with pytest.raises(UserError, match="--executor dask: say auto, local, torchrun, ray"):
        executor("dask")  # type: ignore[arg-type]
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="--executor local: torchrun has started several processes"):
        executor("local")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(UserError, match=r"Ray is not installed; pip install 'tastemaker\[ray\]'"):
        executor("ray")
