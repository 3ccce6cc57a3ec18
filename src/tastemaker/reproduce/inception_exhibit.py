"""DDE's table 4, the Inception Score, in the small world: single things on a plain ground, 24 classes.

A fixed list of captions a class, several images of each. Part k of P holds the same samples of every caption, so that
the parts are alike and paired between arms; the score is that of `evaluate.inception` in each part:

    IS_k = exp(E_x KL(p(y|x) ‖ p(y))),   IS = mean over k                (Salimans et al. 2016, arXiv 1606.03498)

Scores of other classifiers, numbers of images or of parts do not compare, so the paper's own would say nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import draw
from tastemaker.base.files import atomic_file, read_json, write_json
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import CHOSEN, checkpoints
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.results import Results, crossed, reading
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of
from tastemaker.world import captions
from tastemaker.world.assets import BASE_MODEL
from tastemaker.world.captions import BACKGROUNDS, COLOURS, SHAPES, SIZES, Scene, Thing

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

A_CLASS, SAMPLES, PARTS, SEED = 4, 10, 5, 0
"""Captions a class, images a caption, parts, and the seed by which captions are drawn."""
LOGITS = "logits.npy"
TRAINING_SECONDS = 150.0


@dataclass(frozen=True)
class Line:
    """Of an arm (None: the base): its score, the share of images of their caption's class, both [seeds, parts]."""

    label: str
    score: Floats
    right: Floats
    to_base: Interval | None


@dataclass(frozen=True)
class Inception:
    """The table (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    model: str
    arms: tuple[Arm, ...]
    labels: tuple[str, ...]

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The classifier, and every arm's images as it sees them."""
        yield drawn(shop, self.model, None, 0)
        for seed in seeds:
            yield from (drawn(shop, self.model, arm, seed) for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """The table, its settings, the classifier's accuracy, and `<key>.json`."""
        lines = list(self._lines(results))
        if len(lines) < 2:
            return ""
        measured = read_json(classifier(results.shop).out)
        plain = [_plain(line) for line in lines]
        settings = {"a class": A_CLASS, "samples": SAMPLES, "parts": PARTS, "seed": SEED}
        write_json(folder / f"{self.key}.json", {"settings": settings, "classifier": measured, "lines": plain})
        return "\n".join([f"### {self.title}", "", *_said(measured), "", *_markdown(lines), ""])

    def _lines(self, results: Results) -> Iterator[Line]:
        base = drawn(results.shop, self.model, None, 0)
        if not base.done:
            return
        score, right = _measured([base.out])
        yield Line("base", score, right, None)
        for label, arm in zip(self.labels, self.arms, strict=True):
            stages = [drawn(results.shop, self.model, arm, seed) for seed in results.seeds_of(arm)]
            if outs := [stage.out for stage in stages if stage.done]:
                own, hits = _measured(outs)
                yield Line(label, own, hits, crossed(own - score))


def exhibits(profile: Profile, losses: dict[str, Arm], model: str, suffix: str = "") -> Iterator[Inception]:
    """The table of ``model`` where it is the small world's, ``losses`` being its arms by label."""
    if profile.models[model].base == str(BASE_MODEL):
        title = f"DDE, table 4: Inception Score ({model})"
        yield Inception(f"inception{suffix}", "dde", title, model, tuple(losses.values()), tuple(losses))


@cache
def prompts() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The captions, `A_CLASS` of each class in the order of the classes, and the class of each.

    Drawn from those of one thing in the centre that are not of the tune split, by which checkpoints are chosen.
    """
    texts: list[str] = []
    for colour in COLOURS:
        for shape in SHAPES:
            looks = [Scene((Thing(size, colour, shape, "center"),), on) for size in SIZES for on in BACKGROUNDS]
            free = [captions.caption(scene) for scene in looks if captions.split_of(scene) != "tune"]
            order = draw.numbers(SEED, "inception captions", colour, shape).permutation(len(free))
            texts += [free[place] for place in order[:A_CLASS]]
    return tuple(texts), tuple(number // A_CLASS for number in range(len(texts)))


def classifier(shop: Shop) -> Stage:
    """The trained classifier of the world and its accuracy."""
    folder = shop.out / "classifier"

    def train() -> None:
        from tastemaker.world.classifier import train_classifier

        train_classifier(folder)

    return Stage("classifier", "classifier", folder / "summary.json", train, TRAINING_SECONDS)


def drawn(shop: Shop, model: str, arm: Arm | None, seed: int) -> Stage:
    """The captions drawn by an arm's chosen checkpoint (None: the base), as logits [captions, samples, classes]."""
    name = f"inception {model} base" if arm is None else f"inception {arm.name} seed {seed}"
    source = shop.base(model) if arm is None else shop.scored(arm, seed)
    place = source.out.parent
    needs = (classifier(shop), source)
    seconds = len(prompts()[0]) * SAMPLES * shop.profile.models[model].speed.draw

    def look() -> None:
        step = None if arm is None else int(read_json(place / CHOSEN)["step"])
        adapter = None if step is None else dict(checkpoints(place / "run"))[step]
        _look(shop, model, adapter, place / "inception")

    return Stage(name, "draw and classify", place / "inception" / LOGITS, look, seconds, needs)


def scores(logits: Floats) -> Floats:
    """IS of each part [parts] of ``logits`` [captions, samples, classes]."""
    import numpy as np

    from tastemaker.evaluate.inception import inception_score

    parts = np.split(logits, PARTS, axis=1)
    return np.array([inception_score(part.reshape(-1, part.shape[-1]), 1).score for part in parts])


def hits(logits: Floats, classes: Sequence[int]) -> Floats:
    """Share of images, in each part [parts], whose likeliest class is that of their caption."""
    import numpy as np

    right = logits.argmax(-1) == np.asarray(classes)[:, None]
    return np.array([part.mean() for part in np.split(right, PARTS, axis=1)])


def _look(shop: Shop, model: str, adapter: Path | None, folder: Path) -> None:
    import numpy as np

    from tastemaker.evaluate import images as generated
    from tastemaker.evaluate.generating import generate
    from tastemaker.world.classifier import WorldClassifier

    base, texts = shop.profile.models[model], prompts()[0]
    how = {"steps": base.steps, "guidance": base.guidance, "batch_size": base.draw_batch, "dtype": base.dtype}
    generate(base.base, list(texts), folder / "images", adapter=adapter, samples=SAMPLES, **how)  # type: ignore[arg-type]
    judge = WorldClassifier(str(classifier(shop).out.parent))
    found = [judge.logits(pictures) for _, pictures in generated.batches(folder / "images", 0, 240)]
    with atomic_file(folder / LOGITS) as temporary, open(temporary, "wb") as file:
        np.save(file, np.concatenate(found).reshape(len(texts), SAMPLES, -1))


def _measured(outs: Sequence[Path]) -> tuple[Floats, Floats]:
    import numpy as np

    found = [np.load(out, allow_pickle=False).astype(np.float64) for out in outs]
    classes = prompts()[1]
    return np.array([scores(one) for one in found]), np.array([hits(one, classes) for one in found])


def _said(measured: dict[str, object]) -> list[str]:
    accuracy = measured["accuracy"]
    assert isinstance(accuracy, dict)
    shown = " and ".join(f"{share:.1%} of {what}" for what, share in accuracy.items())
    images = len(prompts()[0]) * SAMPLES
    return [
        f"Classifier of {measured['classes']} classes (colour × shape), taught on true renders: right "
        f"on {shown} of {measured['held_out']} held-out pictures. Images: {images} an arm and seed, {A_CLASS} captions "
        f"a class (drawn with seed {SEED}) and {SAMPLES} samples a caption, in {PARTS} parts; no checkpoint was chosen "
        "by one of these captions. The interval is over seeds and parts. The score looks at no caption; the last "
        "column does. Our source prints no figures, only that the score rises after training."
    ]


def _markdown(lines: Sequence[Line]) -> Iterator[str]:
    rows = [["", "seeds", "IS", "IS − base (95 %)", "rises after training", "image of its caption's class"]]
    for line in lines:
        told = line.to_base
        change = ["", ""] if told is None else [interval(told, "+.3f"), reading(told, len(line.score))]
        rows.append([line.label, str(len(line.score)), f"{line.score.mean():.3f}", *change, f"{line.right.mean():.3f}"])
    return iter(rows_of(rows))


def _plain(line: Line) -> dict[str, object]:
    change = None if line.to_base is None or len(line.score) < 2 else asdict(line.to_base)
    return {"label": line.label, "score": line.score.tolist(), "right": line.right.tolist(), "to_base": change}
