"""The embedded small world: captioned shapes, a base model trained on them, a scorer, and comparisons.

What ships with the package was made by these commands; docs/world.md tells how, and what the figures mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def pretrain(*, out: Path, steps: int = 4500, seed: int = 0) -> None:
    """Train the base model from nothing (about an hour on one core).

    Resumable: the same command goes on where a stopped one was. The model is OUT/model, a diffusers folder.

    Args:
        out: Folder for checkpoints, logs, sample grids and the model.
        steps: Optimizer steps of text encoder and denoiser; the shipped model has the default.
        seed: Seed of weights, pictures and noise.
    """
    from dataclasses import replace

    from tastemaker.base.summary import show
    from tastemaker.world.pretrain import AUTOENCODER, DENOISER
    from tastemaker.world.pretrain import pretrain as run

    autoencoder = replace(AUTOENCODER, seed=seed)
    show(run(out, autoencoder=autoencoder, denoiser=replace(DENOISER, steps=steps, seed=seed), seed=seed))


def scorer(*, out: Path, steps: int = 2500, seed: int = 0) -> None:
    """Train the world scorer on true renders (about a quarter of an hour on one core).

    Args:
        out: Folder for checkpoints, log and the scorer (OUT/model).
        steps: Optimizer steps; fewer make a weaker scorer.
        seed: Seed of weights and pictures.
    """
    from dataclasses import replace

    from tastemaker.base.summary import show
    from tastemaker.world.contrast import SCORER, train_scorer

    show(train_scorer(out, plan=replace(SCORER, steps=steps, seed=seed)))


def sample(
    *,
    out: Path,
    model: Path | None = None,
    pairs: int = 3000,
    seed: int = 0,
    temperature: float = 0.1,
    flips: float = 0.2,
) -> None:
    """Draw pairs of images from the base model and judge them with errors, as Pick-a-Pic Parquet.

    Args:
        out: Folder for pickapic/*.parquet and truth.parquet (which labels are wrong; only evaluation may read it).
        model: Base model, by default the shipped one.
        pairs: Pairs to draw, each for another caption of the train split.
        seed: Seed of captions, images and judgements.
        temperature: Of the Bradley-Terry judge, in units of utility; higher errs more on close pairs.
        flips: Share of judgements turned round at random.
    """
    from tastemaker.base.summary import show
    from tastemaker.rollout.simulated import Judging
    from tastemaker.world.assets import BASE_MODEL
    from tastemaker.world.sample import sample as run

    judging = Judging(temperature=temperature, flips=flips)
    show(run(out, model=model or BASE_MODEL, pairs=pairs, seed=seed, judging=judging))


def captions(*, out: Path, split: Literal["train", "tune", "test"] = "test", count: int = 300, seed: int = 0) -> None:
    """Write different captions of a split, one a line, for tastemaker generate --prompts.

    Args:
        out: Text file.
        split: No caption is in two splits.
        count: How many.
        seed: Seed of the choice.
    """
    from tastemaker.base.files import write_text
    from tastemaker.base.summary import show
    from tastemaker.world.captions import caption, draw

    lines = [caption(scene) for scene in draw(split, count, seed)]
    write_text(out, "\n".join(lines) + "\n")
    show({"captions": len(lines), "split": split, "out": str(out)})


def measure(*, comparisons: Path | None = None, noise: tuple[float, ...] = (0.0, 2.0, 4.0, 8.0, 16.0)) -> None:
    """Show what utility says of known pictures, and how often scorers of several strengths agree with it.

    Args:
        comparisons: Folder of tastemaker world sample, by default the shipped one.
        noise: Standard deviations of the noise added to the world scorer's raw scores.
    """
    from tastemaker.base.summary import show
    from tastemaker.world.assets import COMPARISONS
    from tastemaker.world.measure import scorer_accuracy, utility_table

    show({"utility": utility_table(), "pair accuracy": scorer_accuracy(comparisons or COMPARISONS, noise)})


def feedback(
    *,
    out: Path,
    choices: int = 20,
    rounds: int = 2,
    seed: int = 0,
    port: int = 8000,
    passphrase: str = "taste",
) -> None:
    """Click the best of four pictures in a browser and see a model learn from it (a few minutes; it can be stopped).

    Args:
        out: Folder of the run; OUT/before-after.png and OUT/report.html tell what came out.
        choices: Clicks a round.
        rounds: How often the model draws, asks and learns.
        seed: Seed of sampling and training.
        port: Of the pages, on this machine only.
        passphrase: What the start page asks for.
    """
    from tastemaker.base.summary import show
    from tastemaker.cli.scorers import build
    from tastemaker.world.feedback import feedback as run

    show(run(out, build, choices=choices, rounds=rounds, seed=seed, port=port, passphrase=passphrase))


def unpack(*, out: Path) -> None:
    """Copy the shipped base model, comparisons and recipe to a folder, to try every verb on them.

    Args:
        out: Folder to make.
    """
    from tastemaker.base.summary import show
    from tastemaker.world.assets import unpack as run

    show(run(out))


SUBVERBS = {
    "unpack": unpack,
    "pretrain": pretrain,
    "scorer": scorer,
    "sample": sample,
    "captions": captions,
    "measure": measure,
    "feedback": feedback,
}
