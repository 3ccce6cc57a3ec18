"""The folder of a small online run, written by hand: every number in it is known, nothing is trained."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from safetensors.numpy import save_file

from tastemaker.base import files
from tastemaker.base.config import write_yaml
from tastemaker.data.store import write_images
from tastemaker.report import inputs
from tastemaker.report import rounds as section
from tastemaker.report.page import Strip
from tastemaker.report.reporting import report
from tastemaker.train.recipe import D3po

SCORER = "world-utility"
PROMPTS = ("a red circle", "a blue square")
SAMPLES = 3
CHOICES = ((0, 0, 1, "a"), (0, 0, 2, "tie"), (0, 1, 2, "tie"), (1, 0, 1, "b"), (1, 0, 2, "b"), (1, 1, 2, "a"))
"""Prompt 1 is the most decided: sample 1 beats both (+2), 2 beats 0 and loses to 1 (0), 0 loses to both (−2)."""
DIVERSITY = (0.2, 0.1)
UPDATES = 4


def write_online(
    run: Path, *, rounds: int = 2, scorer: str | None = SCORER, texts: Sequence[str] = PROMPTS, samples: int = SAMPLES
) -> Path:
    """RUN; without ``scorer`` people were asked. The means of two prompts in round r are 0.3 r + (0.2, 0.4)."""
    run.mkdir(parents=True)
    for number in range(rounds):
        write_round(run / "rounds" / f"round-{number:03d}", number, scorer, texts, samples)
    lines = [line for number in range(rounds) for line in round_lines(number, scorer)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_yaml(run / "recipe.yaml", D3po.model_validate(recipe(run, rounds, scorer, len(texts), samples)))
    write_trace(run / "memory.safetensors")
    files.write_json(run / "summary.json", {"verb": "d3po", "tastemaker": "0.1.0", "steps": rounds * UPDATES})
    return run


def recipe(run: Path, rounds: int, scorer: str | None, prompts: int, samples: int) -> dict[str, Any]:
    feedback: Mapping[str, Any] = {"kind": "scorer", "scorers": [scorer]} if scorer else {"kind": "file"}
    return {
        "model": "none",
        "adapter": {"kind": "lora", "rank": 2},
        "rollout": {"prompts": "prompts.txt", "images": samples},
        "rounds": {"count": rounds, "prompts": prompts, "updates": UPDATES},
        "feedback": feedback,
        "out": str(run),
    }


def round_lines(number: int, scorer: str | None) -> list[dict[str, float]]:
    """The line that begins a round, and those of its steps; two of six comparisons are ties."""
    diversity = DIVERSITY[min(number, 1)]
    first = {"step": UPDATES * number, "pairs_seen": 16 * UPDATES * number, "round": number}
    reward = {f"reward/{scorer}": 0.3 + 0.3 * number} if scorer else {}
    steps = range(UPDATES * number + 1, UPDATES * (number + 1) + 1)
    return [
        first | reward | {"diversity": diversity, "comparisons": 6, "ties": 2 / 6},
        *(
            {"step": step, "pairs_seen": 16 * step, "lr": 1e-3, "loss": 0.69, "margin": 0.01 * step, "accuracy": 0.6,
             "gradient_norm": 0.1, "clipped": 0.2, "clipped_wrong": 0.05, "ratio_loser": -0.01 * step,
             "ratio_winner": 0.02, "t": 500.0}
            for step in steps
        ),
    ]  # fmt: skip


def write_round(folder: Path, number: int, scorer: str | None, texts: Sequence[str], samples: int) -> None:
    places = [(prompt, sample) for prompt in range(len(texts)) for sample in range(samples)]
    shas = write_images(folder, [paint(number, *place) for place in places])
    rows = [
        {"prompt_index": prompt, "prompt": texts[prompt], "sample": sample, "sha": sha}
        for (prompt, sample), sha in zip(places, shas, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rollouts.parquet")
    choices = [dict(zip(("prompt", "a", "b", "label"), row, strict=True)) for row in CHOICES]
    pq.write_table(pa.Table.from_pylist(choices), folder / "choices.parquet")
    if scorer:
        scored = [
            {"prompt_index": prompt, "sample": sample, "scorer": scorer, "raw": reward(number, prompt, sample, samples)}
            for prompt, sample in places
        ]
        pq.write_table(pa.Table.from_pylist(scored), folder / "rewards.parquet")


def reward(number: int, prompt: int, sample: int, samples: int) -> float:
    return 0.2 + 0.3 * number + 0.2 * prompt + 0.1 * (sample - (samples - 1) / 2)


def paint(number: int, prompt: int, sample: int) -> bytes:
    """A picture of one colour, another for every image of the run."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (40 + 20 * number, 60 + 90 * prompt, 60 + 20 * sample)).save(buffer, "png")
    return buffer.getvalue()


def write_trace(path: Path) -> None:
    """Ten steps, two of them visited: t = 2 by 3 pairs of margin −0.2 and one of 0.2, t = 7 by 2 of 0.2."""
    trace = np.zeros((3, 2, 10), np.float32)
    trace[0, :, 2], trace[0, 1, 7] = (3, 1), 2
    trace[1, :, 2], trace[1, 1, 7] = (-0.6, 0.2), 0.4
    save_file({"trace": trace}, path)


def strips(run: Path) -> tuple[Strip, ...]:
    return section.pictures(inputs.read_online(run)).strips


def page(out: Path, *runs: Path) -> str:
    report(out, runs=runs)
    return out.read_text(encoding="utf-8")
