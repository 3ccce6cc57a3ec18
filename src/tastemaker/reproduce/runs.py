"""Stages of one arm: pairs, training, choice of a checkpoint, images, scores.

OUT/data, OUT/pairs/<set>, OUT/cache/<model>         once for all arms
OUT/tuned/<arm>.json                                 the settings that suited best, on the tune prompts
OUT/runs/<arm>/seed-0/run                            a run of `tastemaker train`
OUT/runs/<arm>/seed-0/images, scores.json            the test prompts, by the chosen checkpoint
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce import choosing
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.choosing import SCORES, checkpoints
from tastemaker.reproduce.profile import Model, Profile, Settings
from tastemaker.reproduce.stage import Needed, Stage

if TYPE_CHECKING:
    from tastemaker.score.scorer import Scorer
    from tastemaker.train.recipe import Recipe

Build = Callable[[str], "Scorer"]
LAST, CURVE = "last.json", "curve.json"
BASE, DRAW = "base", "draw and score"


@dataclass(frozen=True)
class Shop:
    """Where a profile's stages lie, and how scorers are made."""

    out: Path
    profile: Profile
    build: Build

    def data(self) -> Stage:
        """Comparisons, imported and scored by every ranker."""
        profile, folder = self.profile, self.out / "data"
        names = list(profile.rankers.values())
        seconds = profile.images * _model(profile).speed.score * len(names)
        reads = tuple(Needed("scorer", name) for name in names)
        put = folder / "ready.json"
        return Stage("data", "import and score", put, lambda: self._import(folder, names), seconds, reads=reads)

    def pairs(self, pairs: Pairs, seed: int) -> Stage:
        """A ranked set; only what is drawn at random depends on ``seed``."""
        name = pairs.name if pairs.kind == "best" else f"{pairs.name}-s{seed}"
        folder = self.out / "pairs" / name
        return Stage(
            f"pairs {name}",
            "rank",
            folder / "summary.json",
            lambda: self._rank(folder, pairs, seed),
            5,
            (self.data(),),
            (Needed("scorer", self._ranker(pairs)),),
        )

    def cache(self, model: str) -> Stage:
        """Latents of all pairs."""
        profile, model = self.profile, self.profile.first_like(model)
        folder = self.out / "cache" / model
        everything, base = self.pairs(Pairs(), 0), profile.models[model]

        def encode() -> None:
            from tastemaker.encode.encoding import encode

            encode([everything.out.parent], self.out / "data", base.base, folder)

        return Stage(
            f"encode {model}",
            "encode",
            folder / "summary.json",
            encode,
            profile.images * base.speed.encode,
            (everything,),
            (Needed("model", base.base),),
            profile.images * base.room.cached,
        )

    def tuned(self, arm: Arm) -> Stage:
        """The settings of the arms that share a loss and a weight, whatever pairs they read (`choosing`)."""
        like = choosing.settled_by(arm)
        place = self.out / "tuned" / f"{like.name}.json"
        base, profile = self.profile.models[arm.model], self.profile
        trials = len(choosing.trials(profile, like))
        seconds = 0.0 if trials == 1 else trials * self._seconds(base, profile.budget(arm), len(profile.tune()))
        needs, name = (self.pairs(like.pairs, 0), self.cache(arm.model)), f"tune {like.name}"
        reads = () if trials == 1 else self._reads(arm.model)
        return Stage(name, "tune", place, lambda: choosing.tune(self, like, place), seconds, needs, reads)

    def trained(self, arm: Arm, seed: int) -> Stage:
        """A run with its checkpoints."""
        arm = arm.run
        place, base = self.place(arm, seed) / "run", self.profile.models[arm.model]
        needs = (self.pairs(arm.pairs, seed), self.cache(arm.model), self.tuned(arm))
        seconds = self.profile.budget(arm) * base.speed.pair
        space = self.profile.checkpoints * base.room.checkpoint * (arm.rank or base.rank) / base.rank

        def train() -> None:
            from tastemaker.train.training import train

            train(self.recipe(arm, seed, read_json(needs[2].out), place))

        name, reads = f"train {arm.name} seed {seed}", (Needed("model", base.base),)
        return Stage(name, "train", place / "summary.json", train, seconds, needs, reads, space)

    def scored(self, arm: Arm, seed: int) -> Stage:
        """The test prompts by the chosen checkpoint (of an arm with ``last``: by the last one), by every judge."""
        place, run = self.place(arm, seed), self.trained(arm, seed)
        base = self.profile.models[arm.model]
        tried = 0 if arm.last else self.profile.checkpoints * len(self.profile.tune())
        drawn = len(self.profile.test()) + tried

        def score() -> None:
            adapter = checkpoints(place / "run")[-1][1] if arm.last else choosing.choose(self, arm, place)
            images = place / ("last" if arm.last else "images")
            self.judge(arm.model, adapter, images, self.profile.test(), self.scores(arm, seed))

        name, cost = f"score {arm.name} seed {seed}", (drawn * base.speed.draw, drawn * base.room.drawn)
        return Stage(name, DRAW, self.scores(arm, seed), score, cost[0], (run,), self._reads(arm.model), cost[1])

    def curve(self, arm: Arm, seed: int) -> Stage:
        """Every checkpoint on the test prompts: what a figure against samples used needs."""
        place, run = self.place(arm, seed), self.trained(arm, seed)
        base = self.profile.models[arm.model]
        drawn = len(self.profile.test()) * self.profile.checkpoints

        def score() -> None:
            points = {}
            for step, adapter in checkpoints(place / "run"):
                there = place / "curve" / f"step-{step:06d}"
                self.judge(arm.model, adapter, there / "images", self.profile.test(), there / SCORES)
                points[str(step)] = read_json(there / SCORES)
            write_json(place / CURVE, points)

        name, cost = f"curve {arm.name} seed {seed}", (drawn * base.speed.draw, drawn * base.room.drawn)
        return Stage(name, DRAW, place / CURVE, score, cost[0], (run,), self._reads(arm.model), cost[1])

    def base(self, model: str) -> Stage:
        """The base model's images of the test prompts."""
        model = self.profile.first_like(model)
        place = self.out / "runs" / f"{model}-{BASE}"
        drawn, own = len(self.profile.test()), self.profile.models[model]
        return Stage(
            f"score {model} {BASE}",
            DRAW,
            place / SCORES,
            lambda: self.judge(model, None, place / "images", self.profile.test(), place / SCORES),
            drawn * own.speed.draw,
            reads=self._reads(model),
            space=drawn * own.room.drawn,
        )

    def pairs_a_step(self, model: str) -> int:
        """Pairs of an optimizer step."""
        train = self.profile.models[model].tree["train"]
        return int(train["batch_size"]) * int(train.get("accumulate", 1))

    def place(self, arm: Arm, seed: int) -> Path:
        """The folder of an arm's seed; what is reported of a run's end lies in the run's own."""
        return self.out / "runs" / arm.run.name / f"seed-{seed}"

    def scores(self, arm: Arm, seed: int) -> Path:
        """Every judge's raw scores of the test prompts."""
        return self.place(arm, seed) / (LAST if arm.last else SCORES)

    def recipe(self, arm: Arm, seed: int, settings: Settings, out: Path) -> Recipe:
        """The model's recipe with the arm's pairs, method and settings."""
        from tastemaker.rank.pairs import read_pairs
        from tastemaker.train.recipe import Recipe

        model, budget = self.profile.models[arm.model], self.profile.budget(arm)
        folder = self.pairs(arm.pairs, seed).out.parent
        pairs = len(read_pairs(folder))
        budget = min(budget, pairs) if self.profile.once(arm) else budget
        strength = {name: value for name, value in settings.items() if name != "lr"}
        tree = {**model.tree, "model": model.base, "method": arm.method(strength), "out": str(out)}
        tree.setdefault("adapter", {"kind": "lora", "rank": arm.rank or model.rank})  # else it is all weights
        tree["data"] = {
            "pairs": str(folder),
            "cache": str(self.cache(arm.model).out.parent),
            "order": "sorted" if arm.pairs.kind == "best" else "random",
            "epochs": math.ceil(budget / pairs),
            "max_pairs": budget,
        }
        every = math.ceil(math.ceil(budget / self.pairs_a_step(arm.model)) / self.profile.checkpoints)
        kept = {"seed": seed, "lr": settings["lr"], "checkpoint_every": every, "keep_checkpoints": 1000}
        tree["train"] = {**model.tree["train"], **kept}
        return Recipe.model_validate(tree)

    def judge(self, model: str, adapter: Path | None, images: Path, prompts: Sequence[str], to: Path) -> None:
        """Draw ``prompts`` and write every judge's raw scores of them."""
        from tastemaker.evaluate import images as generated
        from tastemaker.score.batches import score_batch

        self.draw(model, adapter, images, prompts)
        scorers = {judge.name: self.build(judge.spec) for judge in self.profile.judges}
        found: dict[str, list[float]] = {name: [] for name in scorers}
        for texts, pictures in generated.batches(images, 0, 256):
            for name, scorer in scorers.items():
                found[name] += score_batch(scorer, texts, pictures).tolist()
        write_json(to, found)

    def draw(self, model: str, adapter: Path | None, images: Path, prompts: Sequence[str], samples: int = 1) -> None:
        """Draw ``prompts`` with a model's own settings of evaluation; None is the base."""
        from tastemaker.evaluate.generating import generate

        base = self.profile.models[model]
        more: dict[str, Any] = {"steps": base.steps, "guidance": base.guidance, "batch_size": base.draw_batch}
        more |= {"samples": samples, "dtype": base.dtype}
        whole = adapter if base.tree.get("adapter", {}).get("kind") == "full" else None  # a checkpoint of all weights
        generate(whole or base.base, list(prompts), images, adapter=None if whole else adapter, **more)

    def _import(self, folder: Path, names: Sequence[str]) -> None:
        from tastemaker.data.importing import import_data
        from tastemaker.score.runner import score

        import_data(self.profile.data, folder, split=self.profile.split)
        for name in names:
            score(folder, self.build(name))
        write_json(folder / "ready.json", {"scorers": list(names)})

    def _rank(self, folder: Path, pairs: Pairs, seed: int) -> None:
        from tastemaker.rank.ranking import Cut, rank

        scorer = self.build(self._ranker(pairs)).id
        drawn: dict[str, Any] = {} if pairs.kind == "best" else {"order": "random", "seed": seed}
        cut: dict[str, Any] = {} if pairs.share == 1.0 else dict(self.profile.cut(pairs.share))
        rank(self.out / "data", scorer, folder, Cut(**drawn, **cut))

    def _ranker(self, pairs: Pairs) -> str:
        """The spec of the scorer that ranks; the first where none is named."""
        return self.profile.rankers[pairs.scorer or next(iter(self.profile.rankers))]

    def _reads(self, model: str) -> tuple[Needed, ...]:
        """What drawing and judging read."""
        judges = (Needed("scorer", judge.spec) for judge in self.profile.judges)
        return (*judges, Needed("model", self.profile.models[model].base))

    def _seconds(self, base: Model, pairs: int, images: int) -> float:
        return pairs * base.speed.pair + images * base.speed.draw


def _model(profile: Profile) -> Model:
    return next(iter(profile.models.values()))
