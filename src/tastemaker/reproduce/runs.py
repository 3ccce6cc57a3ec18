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
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.profile import Model, Profile, Settings
from tastemaker.reproduce.stage import Stage

if TYPE_CHECKING:
    from tastemaker.score.scorer import Scorer
    from tastemaker.train.recipe import Recipe

Build = Callable[[str], "Scorer"]
SCORES, CURVE, CHOSEN = "scores.json", "curve.json", "chosen.json"
BASE = "base"
SAME_SCALE = {"single-shot": "dde-single", "discounted": "discounted", "min-snr": "min-snr"}
"""The credit that stands for all with this weight when settings are tuned."""


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
        return Stage("data", "import and score", folder / "ready.json", lambda: self._import(folder, names), seconds)

    def pairs(self, pairs: Pairs, seed: int) -> Stage:
        """A ranked set; only what is drawn at random depends on ``seed``."""
        name = pairs.name if pairs.kind == "best" else f"{pairs.name}-s{seed}"
        folder = self.out / "pairs" / name
        return Stage(
            f"pairs {name}", "rank", folder / "summary.json", lambda: self._rank(folder, pairs, seed), 5, (self.data(),)
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
        )

    def tuned(self, arm: Arm) -> Stage:
        """The settings of the arms that share a loss, a weight and a kind of pairs."""
        like = self._like(arm)
        place = self.out / "tuned" / f"{like.name}.json"
        base, profile = self.profile.models[arm.model], self.profile
        trials = len(profile.candidates(arm)) + (profile.faster is not None)
        seconds = 0.0 if trials == 1 else trials * self._seconds(base, profile.budget(arm), len(profile.tune()))
        needs = (self.pairs(like.pairs, 0), self.cache(arm.model))
        return Stage(f"tune {like.name}", "tune", place, lambda: self._tune(like, place), seconds, needs)

    def trained(self, arm: Arm, seed: int) -> Stage:
        """A run with its checkpoints."""
        place = self.place(arm, seed) / "run"
        needs = (self.pairs(arm.pairs, seed), self.cache(arm.model), self.tuned(arm))
        seconds = self.profile.budget(arm) * self.profile.models[arm.model].speed.pair

        def train() -> None:
            from tastemaker.train.training import train

            train(self.recipe(arm, seed, read_json(needs[2].out), place))

        return Stage(f"train {arm.name} seed {seed}", "train", place / "summary.json", train, seconds, needs)

    def scored(self, arm: Arm, seed: int) -> Stage:
        """The chosen checkpoint's images of the test prompts, by every judge."""
        place, run = self.place(arm, seed), self.trained(arm, seed)
        base = self.profile.models[arm.model]
        images = len(self.profile.test()) + self.profile.checkpoints * len(self.profile.tune())
        seconds = images * base.speed.draw

        def score() -> None:
            chosen = self._choose(arm, place)
            self.judge(arm.model, chosen, place / "images", self.profile.test(), place / SCORES)

        return Stage(f"score {arm.name} seed {seed}", "draw and score", place / SCORES, score, seconds, (run,))

    def curve(self, arm: Arm, seed: int) -> Stage:
        """Every checkpoint on the test prompts: what a figure against samples used needs."""
        place, run = self.place(arm, seed), self.trained(arm, seed)
        base = self.profile.models[arm.model]
        seconds = len(self.profile.test()) * self.profile.checkpoints * base.speed.draw

        def score() -> None:
            points = {}
            for step, adapter in checkpoints(place / "run"):
                there = place / "curve" / f"step-{step:06d}"
                self.judge(arm.model, adapter, there / "images", self.profile.test(), there / SCORES)
                points[str(step)] = read_json(there / SCORES)
            write_json(place / CURVE, points)

        return Stage(f"curve {arm.name} seed {seed}", "draw and score", place / CURVE, score, seconds, (run,))

    def base(self, model: str) -> Stage:
        """The base model's images of the test prompts."""
        model = self.profile.first_like(model)
        place = self.out / "runs" / f"{model}-{BASE}"
        seconds = len(self.profile.test()) * self.profile.models[model].speed.draw
        return Stage(
            f"score {model} {BASE}",
            "draw and score",
            place / SCORES,
            lambda: self.judge(model, None, place / "images", self.profile.test(), place / SCORES),
            seconds,
        )

    def pairs_a_step(self, model: str) -> int:
        """Pairs of an optimizer step."""
        train = self.profile.models[model].tree["train"]
        return int(train["batch_size"]) * int(train.get("accumulate", 1))

    def place(self, arm: Arm, seed: int) -> Path:
        """The folder of an arm's seed."""
        return self.out / "runs" / arm.name / f"seed-{seed}"

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
        every = max(1, budget // self.pairs_a_step(arm.model) // self.profile.checkpoints)
        kept = {"seed": seed, "lr": settings["lr"], "checkpoint_every": every, "keep_checkpoints": 1000}
        tree["train"] = {**model.tree["train"], **kept}
        return Recipe.model_validate(tree)

    def judge(self, model: str, adapter: Path | None, images: Path, prompts: Sequence[str], to: Path) -> None:
        """Draw ``prompts`` and write every judge's scores of them."""
        from tastemaker.evaluate import images as generated
        from tastemaker.evaluate.generating import generate
        from tastemaker.score.batches import score_batch

        base = self.profile.models[model]
        more: dict[str, Any] = {"steps": base.steps, "guidance": base.guidance, "batch_size": base.draw_batch}
        whole = adapter if base.tree.get("adapter", {}).get("kind") == "full" else None  # a checkpoint of all weights
        generate(
            whole or base.base,
            list(prompts),
            images,
            adapter=None if whole else adapter,
            dtype=base.dtype,
            **more,
        )
        found: dict[str, list[float]] = {judge.name: [] for judge in self.profile.judges}
        for texts, pictures in generated.batches(images, 0, 256):
            for judge in self.profile.judges:
                found[judge.name] += (judge.scale * score_batch(self.build(judge.spec), texts, pictures)).tolist()
        write_json(to, found)

    def _import(self, folder: Path, names: Sequence[str]) -> None:
        from tastemaker.data.importing import import_data
        from tastemaker.score.runner import score

        import_data(self.profile.data, folder, split=self.profile.split)
        for name in names:
            score(folder, self.build(name))
        write_json(folder / "ready.json", {"scorers": list(names)})

    def _rank(self, folder: Path, pairs: Pairs, seed: int) -> None:
        from tastemaker.rank.ranking import Cut, rank

        scorer = self.build(self.profile.rankers[pairs.scorer or next(iter(self.profile.rankers))]).id
        drawn: dict[str, Any] = {} if pairs.kind == "best" else {"order": "random", "seed": seed}
        share: dict[str, Any] = {} if pairs.kind == "all" else {"fraction": pairs.share}
        rank(self.out / "data", scorer, folder, Cut(**drawn, **share))

    def _tune(self, arm: Arm, place: Path) -> None:
        """Try the candidates in order, then the best of them at the faster rate; the best mean on the tune prompts."""
        found: list[tuple[float, Settings]] = []
        trials = list(self.profile.candidates(arm))
        if len(trials) == 1:
            return write_json(place, dict(trials[0]))
        for settings in trials:
            found.append((self._trial(arm, settings), settings))
        if self.profile.faster is not None:
            settings = {**max(found, key=lambda each: each[0])[1], "lr": self.profile.faster}
            found.append((self._trial(arm, settings), settings))
        return write_json(place, dict(max(found, key=lambda each: each[0])[1]))

    def _trial(self, arm: Arm, settings: Settings) -> float:
        from tastemaker.train.training import train

        words = "-".join(f"{name}={value:g}" for name, value in settings.items())
        place = self.out / "trials" / arm.name / words
        if not (place / SCORES).is_file():
            train(self.recipe(arm, 0, settings, place / "run"))
            self.judge(arm.model, place / "run", place / "images", self.profile.tune(), place / SCORES)
        return _mean(read_json(place / SCORES)[self.profile.chosen_by])

    def _choose(self, arm: Arm, place: Path) -> Path:
        """The checkpoint with the best mean on the tune prompts; of equal ones the earliest."""
        found: dict[int, float] = {}
        there = dict(checkpoints(place / "run"))
        for step, adapter in there.items():
            at = place / "tune" / f"step-{step:06d}"
            if not (at / SCORES).is_file():
                self.judge(arm.model, adapter, at / "images", self.profile.tune(), at / SCORES)
            found[step] = _mean(read_json(at / SCORES)[self.profile.chosen_by])
        best = max(found, key=lambda step: (found[step], -step))
        write_json(place / CHOSEN, {"step": best, "tune": {str(step): mean for step, mean in found.items()}})
        return there[best]

    def _like(self, arm: Arm) -> Arm:
        """The arm by which the settings of ``arm`` are found: same loss and weight, on all or on the best pairs."""
        best = Pairs("best", next(iter(self.profile.rankers)), self.profile.share(self.profile.best))
        pairs = Pairs() if arm.pairs.kind == "all" else best
        return Arm(arm.model, pairs, arm.loss, SAME_SCALE.get(arm.scale[1], "uniform"))

    def _seconds(self, base: Model, pairs: int, images: int) -> float:
        return pairs * base.speed.pair + images * base.speed.draw


def checkpoints(run: Path) -> list[tuple[int, Path]]:
    """Step and folder of every checkpoint of a run, the last one last."""
    found = sorted((run / "checkpoints").glob("step-*"))
    return [(int(path.name.removeprefix("step-")), path) for path in found if not path.name.endswith("-000000")]


def _model(profile: Profile) -> Model:
    return next(iter(profile.models.values()))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
