"""Made-up outputs of every verb, small but shaped like real ones, for the report's tests and for looking at it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from tastemaker.base import draw, files
from tastemaker.data.store import write_images
from tastemaker.evaluate.evaluation import evaluate

COLOURS = {"red": "#dd3333", "green": "#2f9e3f", "blue": "#3355dd", "yellow": "#f2cf2c", "purple": "#9440c4"}
SHAPES = ("circle", "square", "triangle")
HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "مربع أحمر كبير على خلفية بيضاء",
    "🦊 a fox & \"friends\" — 'quoted' {{ 7 * 7 }}",
    "averyverylongwordwithoutanyspace" * 9,
    "NUL \0 and bell \a",
)


@dataclass
class Noisy:
    """A scorer that reads the image's first pixel (where `paint` hides the quality) and adds noise of its own."""

    id: str
    noise: float
    calibration: str = "identity"
    uses_prompt: bool = True

    def score(self, prompts: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:
        quality = np.array([image.getpixel((0, 0))[0] / 255 for image in images])
        noise = [
            draw.numbers(self.id, prompt, image.tobytes().hex()).normal(0, self.noise)
            for prompt, image in zip(prompts, images, strict=True)
        ]
        return np.clip(quality + noise, 0, 1).astype(np.float32)


def paint(prompt: str, quality: float, seed: int, side: int = 32) -> bytes:
    """A shape of the prompt's colour; the lower the quality, the more noise and the likelier a wrong colour."""
    generator = draw.numbers(seed, prompt, "paint")
    words = prompt.split()
    colour = next((COLOURS[word] for word in words if word in COLOURS), "#888888")
    shape = next((word for word in words if word in SHAPES), "square")
    if generator.random() > 0.35 + quality:
        colour = list(COLOURS.values())[int(generator.integers(5))]
    image = Image.new("RGB", (side * 4, side * 4), "#f1f1ee")
    pen, r = ImageDraw.Draw(image), int(side * (1.0 + 0.4 * generator.random()))
    x, y = (int(side * (1.5 + generator.random())) for _ in range(2))
    box = (x - r, y - r, x + r, y + r)
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=colour)
    pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS), np.float32)
    pixels = pixels + generator.normal(0, 30 * abs(1 - quality), pixels.shape)
    result = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    result.putpixel((0, 0), (round(255 * min(1, max(0, quality))),) * 3)
    buffer = io.BytesIO()
    result.save(buffer, "png")
    return buffer.getvalue()


def prompts(count: int, hostile: bool) -> list[str]:
    made = [
        f"a {size} {colour} {shape} on the {place}"
        for shape in SHAPES for colour in COLOURS for size in ("small", "large")
        for place in ("left", "right", "top", "bottom", "center")
    ]  # fmt: skip
    return [*(HOSTILE if hostile else ()), *made][:count]


def write_generated(folder: Path, texts: Sequence[str], gain: float, side: int = 32) -> Path:
    """An IMAGES folder of a model that is better than the base by ``gain``."""
    rows = []
    for index, prompt in enumerate(texts):
        base = draw.numbers("base quality", prompt).normal(0.62, 0.16)
        quality = float(base + draw.numbers("gain", prompt, str(gain)).normal(gain, 0.08) * (gain != 0))
        rows.append({"prompt_index": index, "prompt": prompt, "sample": 0, "png": paint(prompt, quality, 0, side)})
    schema = pa.schema({"prompt_index": pa.int32(), "prompt": pa.string(), "sample": pa.int32(), "png": pa.binary()})
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "images.parquet", row_group_size=32)
    settings = {
        "model": "world/base",
        "seed": 0,
        "steps": 25,
        "guidance": 4.0,
        "scheduler": "ddim",
        "size": [side, side],
    }
    versions = {"tastemaker": "0.1.0", "torch": "2.13.0", "diffusers": "0.42.0"}
    files.write_json(
        folder / "settings.json", settings | {"adapter": None, "prompts": len(texts), "versions": versions}
    )
    return folder


def write_ranked(folder: Path, data: Path, texts: Sequence[str], count: int, kept: int) -> None:
    """RANKED and the images of DATA: ψ a noisy reading of quality, a third of the labels wrong."""
    generator, rows, images = draw.numbers("ranked"), [], []
    for number in range(count):
        prompt = texts[number % len(texts)]
        good, bad = sorted(generator.normal(0.6, 0.2, 2).clip(0.02, 0.98), reverse=True)
        if generator.random() < 0.3:
            good, bad = bad, good
        shas = [files.sha256_bytes(image) for image in (paint(prompt, good, number), paint(prompt, bad, -number - 1))]
        images += [paint(prompt, good, number), paint(prompt, bad, -number - 1)]
        psi = [float(np.clip(value + generator.normal(0, 0.1), 0.01, 0.99)) for value in (good, bad)]
        rows.append(
            {"pair_id": f"{number:06d}", "prompt": prompt, "prompt_sha": files.sha256_text(prompt),
             "winner": shas[0], "loser": shas[1], "strength": 1.0,
             "psi_winner": psi[0], "psi_loser": psi[1], "quality": psi[0] * (1 - psi[1])}
        )  # fmt: skip
    write_images(data, images)
    rows.sort(key=lambda row: -row["quality"])
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows[:kept]), folder / "pairs.parquet")
    left = [row | {"reason": "cut"} for row in rows[kept:]] + [rows[0] | {"reason": "tie", "quality": None}]
    pq.write_table(pa.Table.from_pylist(left), folder / "discarded.parquet")
    facts = {"scorer": "world@1", "calibration": {"kind": "identity"}, "pairs": count + 1, "kept": kept}
    files.write_json(
        folder / "summary.json", {"verb": "rank", "tastemaker": "0.1.0", "seconds": 0.4, **facts, "fingerprint": "f"}
    )


def write_run(folder: Path, steps: int = 120) -> Path:
    """RUN: a log whose loss hovers and whose margin grows."""
    generator = draw.numbers("run", folder.name)
    folder.mkdir(parents=True)
    lines = []
    for step in range(1, steps + 1):
        gain = 1 - np.exp(-step / 40)
        row = {
            "step": step, "pairs_seen": 16 * step, "lr": 5e-4, "loss": 0.693 - 0.05 * gain + generator.normal(0, 0.02),
            "margin": 0.0004 * gain + generator.normal(0, 0.0001),
            "accuracy": 0.5 + 0.14 * gain + generator.normal(0, 0.05),
            "gradient_norm": 0.08 + 0.1 * gain + abs(generator.normal(0, 0.02)),
        }  # fmt: skip
        lines.append(json.dumps(row))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "recipe.yaml").write_text(
        "method:\n  link: {kind: dpo, beta: 2000}\n  when: {kind: uniform}\ntrain:\n  lr: 5.0e-4\n  pairs: 1920\n"
    )
    return folder


def make(folder: Path, *, count: int = 300, pairs: int = 900, hostile: bool = False, side: int = 32) -> dict[str, Any]:
    """All inputs of `report` under ``folder``, as its keyword arguments."""
    texts = prompts(count, hostile)
    gains = {"base": 0.0, "best 30 % by Q": 0.07, "all pairs": 0.035, "random 30 %": 0.005}
    images = [write_generated(folder / "images" / name, texts, gain, side) for name, gain in gains.items()]
    write_ranked(folder / "ranked", folder / "data", texts, pairs, max(1, pairs * 3 // 10))
    scorers = [Noisy("world-utility@1", 0.02), Noisy("world-correct@1", 0.2), Noisy("world@1", 0.08)]
    evaluate(images, scorers, folder / "eval", epsilon={"world-utility": 0.01}, trained_with=["world"], resamples=2000)
    runs = [write_run(folder / "runs" / name) for name in ("qsd_dpo", "all pairs", "random subset")]
    given = {"ranked": folder / "ranked", "eval": folder / "eval", "data": folder / "data"}
    return given | {"images": images, "runs": runs}


if __name__ == "__main__":
    from tastemaker.report.reporting import report

    out = Path(sys.argv[1])
    print(report(out / "report.html", **make(out / "inputs", hostile="hostile" in sys.argv)))
