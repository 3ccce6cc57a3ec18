"""The whole story on the embedded world: comparisons in, a model that people would like better out, with proof.

Three models are trained by Diffusion-DPO on the same number of pairs seen: on the best pairs by Q (DPO-QSD), on all
pairs, and on a random subset as large as the best. All draw the same held-out captions from the same noise as the base.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import locked, read_json, sha256_file
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.world.assets import BASE_MODEL, COMPARISONS
from tastemaker.world.outcome import ALL, BASE, FOUND, RANDOM, RANKED, TRAINED, UTILITY, detection, verdict
from tastemaker.world.sample import PARQUET, sample
from tastemaker.world.story import tell

if TYPE_CHECKING:
    from tastemaker.train.recipe import Recipe


@dataclass(frozen=True)
class Settings:
    """How large the demo is. ``epsilon`` is the largest difference of utility that counts as a tie."""

    seed: int = 0
    prompts: int = 300
    fraction: float = 0.3
    steps: int = 150
    batch: int = 16
    lr: float = 3e-4
    beta: float = 300.0
    rank: int = 16
    ema: float = 0.0
    sampling_steps: int = 20
    epsilon: float = 0.02


SHORT = Settings(prompts=40, steps=6, sampling_steps=8)
"""A demo for checking that everything runs; it proves nothing."""


def demo(out: Path, settings: Settings = Settings(), *, comparisons: Path = COMPARISONS) -> dict[str, Any]:
    """Run every stage into ``out`` and return the summary; finished stages are recognised and left alone.

    ``comparisons`` is a folder of `tastemaker world sample`; when there is none, fresh comparisons are drawn.
    """
    started = time.monotonic()
    mark = fingerprint(**asdict(settings), comparisons=_print(comparisons))
    with locked(out):
        if done := finished(out, mark):
            return done
        source = find_comparisons(comparisons, out, settings)
        prepare(source, out, settings)
        for name in TRAINED:
            align(name, out, settings)
        found = detection(out, source)
        facts = verdict(judge(out, settings)) | {name: found[name] for name in FOUND}
        page = tell(out, facts, found)
        return finish(out, "demo", started, fingerprint=mark, **facts, settings=asdict(settings), report=page)


def _print(comparisons: Path) -> str | None:
    file = comparisons / PARQUET
    return sha256_file(file) if file.is_file() else None


def find_comparisons(shipped: Path, out: Path, settings: Settings) -> Path:
    """The folder of comparisons: the shipped one, or one drawn now from the base model."""
    if (shipped / PARQUET).is_file():
        return shipped
    sample(out / "comparisons", seed=settings.seed)
    return out / "comparisons"


def prepare(source: Path, out: Path, settings: Settings) -> None:
    """import, score, rank three times, encode."""
    from tastemaker.data.importing import import_data
    from tastemaker.encode.encoding import encode
    from tastemaker.rank.ranking import Cut, rank
    from tastemaker.score.runner import score
    from tastemaker.world.scorer import WorldScorer

    data, scorer = out / "data", WorldScorer()
    import_data(str(source / PARQUET), data)
    score(data, scorer)
    best = rank(data, scorer.id, out / "ranked" / RANKED, Cut(fraction=settings.fraction))
    rank(data, scorer.id, out / "ranked" / ALL, Cut(order="random", seed=settings.seed))
    rank(data, scorer.id, out / "ranked" / RANDOM, Cut(count=best["kept"], order="random", seed=settings.seed))
    encode([out / "ranked" / ALL], data, str(BASE_MODEL), out / "cache")


def recipe(name: str, out: Path, settings: Settings) -> Recipe:
    """The recipe of one of the `TRAINED` models: the same but for the pairs and their order."""
    from tastemaker.base.config import validate
    from tastemaker.rank.ranking import read_pairs
    from tastemaker.train.recipe import Recipe

    seen = settings.steps * settings.batch
    pairs = out / "ranked" / name
    tree = {
        "model": str(BASE_MODEL),
        "data": {
            "pairs": str(pairs),
            "cache": str(out / "cache"),
            "order": "sorted" if name == RANKED else "random",
            "epochs": math.ceil(seen / len(read_pairs(pairs))),
            "max_pairs": seen,
        },
        "adapter": {"kind": "lora", "rank": settings.rank},
        "method": {"link": {"kind": "logistic", "beta": settings.beta}},
        "train": {
            "seed": settings.seed,
            "batch_size": settings.batch,
            "accumulate": 1,
            "lr": settings.lr,
            "ema": settings.ema,
            "warmup_steps": settings.steps // 10,
        },
        "out": str(out / "runs" / name),
    }
    return validate(Recipe, tree, f"demo: {name}")


def align(name: str, out: Path, settings: Settings) -> None:
    """Train one model."""
    from tastemaker.train.training import train

    train(recipe(name, out, settings))


def judge(out: Path, settings: Settings) -> dict[str, Any]:
    """Draw the held-out captions with every model, and compare."""
    from tastemaker.evaluate.evaluation import METRICS, evaluate
    from tastemaker.evaluate.generating import generate
    from tastemaker.world import captions
    from tastemaker.world.scorer import Correct, Utility, WorldScorer

    texts = [captions.caption(scene) for scene in captions.draw("test", settings.prompts, settings.seed)]
    for name in (BASE, *TRAINED):
        generate(
            BASE_MODEL,
            texts,
            out / "images" / name,
            adapter=None if name == BASE else out / "runs" / name,
            seed=settings.seed,
            steps=settings.sampling_steps,
            guidance=1.0,
            batch_size=50,
        )
    folders = [out / "images" / name for name in (BASE, *TRAINED)]
    scorer = WorldScorer()
    evaluate(
        folders,
        [Utility(), Correct(), scorer],
        out / "evaluation",
        epsilon={UTILITY: settings.epsilon},
        trained_with=[scorer.id],
        seed=settings.seed,
    )
    metrics: dict[str, Any] = read_json(out / "evaluation" / METRICS)
    return metrics
