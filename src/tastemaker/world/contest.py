"""All methods on the same pairs, captions and noise, over several seeds: which of the papers' claims hold here?

    OUT/data, OUT/ranked, OUT/cache     the shipped comparisons, scored, ranked and encoded once
    OUT/tune/<entrant>/<settings>/      the runs that choose an entrant's strength and rate, on captions of their own
    OUT/seed-0/<entrant>/               a run, its images of the held-out captions and `utility.json`

Every stage is a verb that recognises its finished output, so the contest goes on where it was stopped. A seed keys the
training; the held-out captions and their initial noise are the same for all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import locked, read_json, write_json
from tastemaker.base.progress import bar
from tastemaker.world.assets import BASE_MODEL, COMPARISONS, RECIPE
from tastemaker.world.entrants import ALL, BEST, BY_NAME, ENTRANTS, FASTER, RANDOM, Entrant, Settings
from tastemaker.world.sample import PARQUET

if TYPE_CHECKING:
    from tastemaker.train.recipe import Recipe
    from tastemaker.world.captions import Split

BASE, UTILITY, TUNED = "base", "utility.json", "tuned.json"


@dataclass(frozen=True)
class Size:
    """How large the contest is; ``pairs_seen`` are counted with repetition."""

    prompts: int = 300
    tune_prompts: int = 150
    pairs_seen: int = 2400
    fraction: float = 0.3
    sampling_steps: int = 20


def contest(
    out: Path, seeds: Sequence[int] = (0, 1, 2, 3, 4), entrants: Sequence[str] = (), size: Size = Size()
) -> dict[str, Any]:
    """Tune and run ``entrants`` (by default all) for ``seeds`` into ``out``; finished runs are left alone.

    Writes ``table.md``, ``contest.png`` and ``utilities.parquet`` about all that has run so far. Returns counts. Raises
    `UserError` for a name that is no entrant.
    """
    from tastemaker.world.verdicts import tell

    started = time.monotonic()
    if unknown := [name for name in entrants if name not in BY_NAME]:
        raise UserError(f"{unknown[0]}: no such entrant; there are {', '.join(BY_NAME)}")
    chosen = [BY_NAME[name] for name in entrants] or list(ENTRANTS)
    with locked(out):
        prepare(out, seeds, size)
    judge(out / BASE, None, size, "test")
    tuned = {entrant.name: tune(out, entrant, size) for entrant in bar(chosen, "tune", unit="method")}
    remember(out / TUNED, tuned)
    work = [(seed, entrant) for seed in seeds for entrant in chosen]
    for seed, entrant in bar(work, "contest", unit="run"):
        run(out / f"seed-{seed}" / entrant.name, out, entrant, tuned[entrant.name], seed, size, "test")
    tell(out)
    return {"entrants": len(chosen), "seeds": list(seeds), "out": str(out), "seconds": time.monotonic() - started}


def remember(path: Path, tuned: Mapping[str, Settings]) -> None:
    """Add the tuned settings to those of other entrants."""
    with locked(path.parent):
        earlier = read_json(path) if path.is_file() else {}
        write_json(path, earlier | {name: dict(settings) for name, settings in tuned.items()})


def prepare(out: Path, seeds: Sequence[int], size: Size) -> None:
    """import, score, rank and encode, once for all."""
    from tastemaker.data.importing import import_data
    from tastemaker.encode.encoding import encode
    from tastemaker.rank.ranking import Cut, rank
    from tastemaker.score.runner import score
    from tastemaker.world.scorer import WorldScorer

    data, scorer = out / "data", WorldScorer()
    import_data(str(COMPARISONS / PARQUET), data)
    score(data, scorer)
    best = rank(data, scorer.id, pairs_of(out, BEST, 0), Cut(fraction=size.fraction))
    rank(data, scorer.id, pairs_of(out, ALL, 0), Cut(order="random", seed=0))
    for seed in seeds:
        rank(data, scorer.id, pairs_of(out, RANDOM, seed), Cut(count=best["kept"], order="random", seed=seed))
    encode([pairs_of(out, ALL, 0)], data, str(BASE_MODEL), out / "cache")


def pairs_of(out: Path, name: str, seed: int) -> Path:
    """The folder of a set of pairs."""
    return out / "ranked" / (f"{name}-{seed}" if name == RANDOM else name)


def tune(out: Path, entrant: Entrant, size: Size) -> dict[str, float]:
    """The settings with the highest mean utility on the tune captions; four runs, or those of ``tuned_as``."""
    if entrant.tuned_as:
        return tune(out, BY_NAME[entrant.tuned_as], size)
    found: dict[str, tuple[float, Settings]] = {}

    def attempt(settings: Settings) -> None:
        place = out / "tune" / entrant.name / "-".join(f"{name}={value:g}" for name, value in settings.items())
        run(place, out, entrant, settings, 0, size, "tune")
        utility = read_json(place / UTILITY)["utility"]
        found[place.name] = (sum(utility) / len(utility), settings)

    for settings in entrant.first_settings():
        attempt(settings)
    if entrant.strengths:
        attempt({**_best(found), "lr": FASTER})
    return dict(_best(found))


def _best(found: dict[str, tuple[float, Settings]]) -> Settings:
    return max(found.values(), key=lambda entry: entry[0])[1]


def run(place: Path, out: Path, entrant: Entrant, settings: Settings, seed: int, size: Size, split: Split) -> None:
    """Train one entrant into ``place`` and judge what it draws."""
    from tastemaker.train.training import train

    if (place / UTILITY).is_file():
        return
    train(recipe(place / "run", out, entrant, settings, seed, size))
    judge(place, place / "run", size, split)


def recipe(run: Path, out: Path, entrant: Entrant, settings: Settings, seed: int, size: Size) -> Recipe:
    """The demo's recipe with this entrant's pairs, method and settings."""
    from tastemaker.base.config import read_yaml
    from tastemaker.rank.pairs import read_pairs
    from tastemaker.train.recipe import Recipe

    tree = read_yaml(RECIPE)
    pairs = pairs_of(out, entrant.pairs, seed)
    data = {
        "pairs": str(pairs),
        "cache": str(out / "cache"),
        "order": "sorted" if entrant.pairs == BEST else "random",
        "epochs": math.ceil(size.pairs_seen / len(read_pairs(pairs))),
        "max_pairs": size.pairs_seen,
    }
    train = {**tree["train"], "seed": seed, "lr": settings["lr"], "checkpoint_every": 0}
    return Recipe.model_validate(
        {
            **tree,
            "model": str(BASE_MODEL),
            "data": data,
            "method": entrant.with_settings(settings),
            "train": train,
            "out": str(run),
        }
    )


def judge(place: Path, adapter: Path | None, size: Size, split: Split) -> None:
    """Draw the captions of ``split`` and write the true utility of each picture."""
    from tastemaker.evaluate import images
    from tastemaker.evaluate.generating import generate
    from tastemaker.world import captions
    from tastemaker.world.scorer import Correct, Utility

    if (place / UTILITY).is_file():
        return
    count = size.prompts if split == "test" else size.tune_prompts
    texts = [captions.caption(scene) for scene in captions.draw(split, count, 0)]
    generate(
        BASE_MODEL,
        texts,
        place / "images",
        adapter=adapter,
        steps=size.sampling_steps,
        guidance=1.0,
        batch_size=50,
    )
    found: dict[str, list[float]] = {"utility": [], "correct": []}
    for prompts, pictures in images.batches(place / "images", 0, count):
        found["utility"] += Utility().score(prompts, pictures).tolist()
        found["correct"] += Correct().score(prompts, pictures).tolist()
    write_json(place / UTILITY, found)
