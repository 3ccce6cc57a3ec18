"""Online runs that cannot be reported: a file is missing, damaged, or of another run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.report_example import write_run
from support.rounds_example import page, paint, write_online
from tastemaker.base.errors import UserError
from tastemaker.data.store import write_images
from tastemaker.report import inputs, rounds


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / place / "same") for place in ("one", "two")]
    with pytest.raises(UserError, match="two runs are called same; rename a folder"):
        page(tmp_path / "r.html", *runs)


def remove(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def damage(name: str) -> Callable[[Path], None]:
    def do(run: Path) -> None:
        (run / name).write_bytes(b"no such thing")

    return do


def break_images(run: Path) -> None:
    """Bytes that are no image any more, in an intact table."""
    path = run / "rounds/round-000/images/images-00000.parquet"
    table = pq.read_table(path)
    at = table.schema.get_field_index("bytes")
    pq.write_table(table.set_column(at, table.schema.field("bytes"), pa.array([b"x"] * len(table))), path)


def change_images(run: Path) -> None:
    write_images(run / "rounds/round-000", [paint(9, 9, 9)])


def forget_scorer(run: Path) -> None:
    path = run / "rounds/round-001/rewards.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def forget_prompt(run: Path) -> None:
    path = run / "rounds/round-000/rollouts.parquet"
    pq.write_table(pq.read_table(path).slice(0, 3), path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (remove("rounds/round-001/rewards.parquet"), "round-001/rewards.parquet: no such file"),
        (remove("rounds/round-001/choices.parquet"), "round-001/choices.parquet: no such file"),
        (remove("rounds/round-000/rollouts.parquet"), "round-000/rollouts.parquet: no such file"),
        (remove("rounds/round-000/images/images-00000.parquet"), "round-000/images: no images here"),
        (damage("rounds/round-000/choices.parquet"), "round-000/choices.parquet: not readable as Parquet"),
        (damage("rounds/round-000/images/images-00000.parquet"), "images-00000.parquet: damaged"),
        (damage("memory.safetensors"), "memory.safetensors: damaged"),
        (remove("recipe.yaml"), "recipe.yaml: no such file"),
        (break_images, "round-000/images: an image is damaged"),
        (change_images, "round-000/images: the image [0-9a-f]{64} is not here"),
        (forget_scorer, "round-001/rewards.parquet: holds nothing of world-utility"),
        (forget_prompt, "round-000/rollouts.parquet: holds no image of prompt 1"),
    ],
)
def test_errors_name_the_file(tmp_path: Path, wrong: Callable[[Path], None], message: str) -> None:
    run = write_online(tmp_path / "run")
    wrong(run)
    with pytest.raises(UserError, match=message) as caught:
        rounds.learning(run)
    assert "\n" not in str(caught.value)


def test_a_log_without_rounds_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "rounds").mkdir()
    with pytest.raises(UserError, match=r"metrics\.jsonl: no line of a round"):
        rounds.learning(run)


def test_a_trace_of_another_shape_is_refused(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    for tensors, message in (({"trace": np.zeros((2, 10), np.float32)}, "shape"), ({"x": np.zeros(1)}, "damaged")):
        save_file(tensors, tmp_path / "memory.safetensors")
        with pytest.raises(UserError, match=message):
            inputs.read_trace(tmp_path / "memory.safetensors")
