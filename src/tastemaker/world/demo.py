"""The whole story on the embedded world: comparisons in, a model that people would like better out, with proof.

Three models are trained by Diffusion-DPO on the same number of pairs seen: on the best pairs by Q (DPO-QSD), on all
pairs, and on a random subset as large as the best. A fourth has no pairs: it learns by D3PO from choices on images that
it has just drawn. All draw the same held-out captions from the same noise as the base.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import locked, read_json, sha256_file, write_text
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.world.assets import BASE_MODEL, COMPARISONS, D3PO, RECIPE
from tastemaker.world.outcome import ALL, BASE, FOUND, ONLINE, RANDOM, RANKED, TRAINED, UTILITY, detection, verdict
from tastemaker.world.sample import PARQUET, sample
from tastemaker.world.story import tell

if TYPE_CHECKING:
    from tastemaker.train.recipe import Recipe


@dataclass(frozen=True)
class Settings:
    """How large the demo is; how it trains stands in ``assets/recipe.yaml``.

    ``pairs_seen`` are the pairs that each model trains on, counted with repetition; ``epsilon`` is the largest
    difference of utility that counts as a tie; ``noise`` makes the scorer weaker (`WorldScorer`).
    """

    seed: int = 0
    prompts: int = 300
    fraction: float = 0.3
    pairs_seen: int = 2400
    sampling_steps: int = 20
    epsilon: float = 0.02
    noise: float = 0.0
    rounds: int = 2
    """Of D3PO, a beginning only; 0 leaves it out."""
    round_prompts: int = 48


SHORT = Settings(prompts=40, pairs_seen=96, sampling_steps=8, rounds=1, round_prompts=2)
"""A demo for checking that everything runs; it proves nothing."""


def demo(out: Path, settings: Settings = Settings(), *, comparisons: Path = COMPARISONS) -> dict[str, Any]:
    """Run every stage into ``out`` and return the summary; finished stages are recognised and left alone.

    ``comparisons`` is a folder of `tastemaker world sample`; when there is none, fresh comparisons are drawn.
    """
    started = time.monotonic()
    mark = fingerprint(**asdict(settings), comparisons=_sha(comparisons / PARQUET), recipe=_sha(RECIPE))
    with locked(out):
        if done := finished(out, mark):
            return done
        source = find_comparisons(comparisons, out, settings)
        prepare(source, out, settings)
        for name in TRAINED:
            align(name, out, settings)
        if settings.rounds:
            explore(out, settings)
        found = detection(out, source)
        facts = verdict(judge(out, settings)) | {name: found[name] for name in FOUND}
        page = tell(out, facts, found, models(settings))
        return finish(out, "demo", started, fingerprint=mark, **facts, settings=asdict(settings), report=page)


def _sha(file: Path) -> str | None:
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

    data, scorer = out / "data", WorldScorer(settings.noise)
    import_data(str(source / PARQUET), data)
    score(data, scorer)
    best = rank(data, scorer.id, out / "ranked" / RANKED, Cut(fraction=settings.fraction))
    rank(data, scorer.id, out / "ranked" / ALL, Cut(order="random", seed=settings.seed))
    rank(data, scorer.id, out / "ranked" / RANDOM, Cut(count=best["kept"], order="random", seed=settings.seed))
    encode([out / "ranked" / ALL], data, str(BASE_MODEL), out / "cache")


def recipe(name: str, out: Path, settings: Settings) -> Recipe:
    """The recipe of one of the `TRAINED` models: the same but for the pairs and their order."""
    from tastemaker.rank.ranking import read_pairs
    from tastemaker.train.recipe import read_recipe

    pairs = out / "ranked" / name
    changes = {
        "model": BASE_MODEL,
        "data.pairs": pairs,
        "data.cache": out / "cache",
        "data.order": "sorted" if name == RANKED else "random",
        "data.epochs": math.ceil(settings.pairs_seen / len(read_pairs(pairs))),
        "data.max_pairs": settings.pairs_seen,
        "train.seed": settings.seed,
        "out": out / "runs" / name,
    }
    return read_recipe(RECIPE, [word for field, value in changes.items() for word in (f"--{field}", str(value))])


def align(name: str, out: Path, settings: Settings) -> None:
    """Train one model."""
    from tastemaker.train.training import train

    train(recipe(name, out, settings))


def explore(out: Path, settings: Settings) -> None:
    """Learn from a simulated person's choices on fresh samples, by D3PO."""
    from tastemaker.score.table import build
    from tastemaker.train.d3po import d3po
    from tastemaker.train.recipe import D3po, read_recipe
    from tastemaker.world import captions
    from tastemaker.world.table import SCORERS

    texts = [captions.caption(scene) for scene in captions.draw("train", 500, settings.seed)]
    write_text(out / "prompts.txt", "\n".join(texts) + "\n")
    changes = {
        "model": BASE_MODEL,
        "rollout.prompts": out / "prompts.txt",
        "rounds.count": settings.rounds,
        "rounds.prompts": settings.round_prompts,
        "rounds.updates": max(1, settings.round_prompts // 4),
        "train.seed": settings.seed,
        "out": out / "runs" / ONLINE,
    }
    words = [word for field, value in changes.items() for word in (f"--{field}", str(value))]
    d3po(read_recipe(D3PO, words, D3po), partial(build, table=SCORERS))


def models(settings: Settings) -> tuple[str, ...]:
    """The trained models, in the order in which they are told."""
    return (*TRAINED, ONLINE) if settings.rounds else TRAINED


def judge(out: Path, settings: Settings) -> dict[str, Any]:
    """Draw the held-out captions with every model, and compare."""
    from tastemaker.evaluate.evaluation import METRICS, evaluate
    from tastemaker.evaluate.generating import generate
    from tastemaker.world import captions
    from tastemaker.world.scorer import Correct, Utility, WorldScorer

    texts = [captions.caption(scene) for scene in captions.draw("test", settings.prompts, settings.seed)]
    for name in (BASE, *models(settings)):
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
    folders = [out / "images" / name for name in (BASE, *models(settings))]
    scorer = WorldScorer(settings.noise)
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
