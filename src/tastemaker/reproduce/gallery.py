"""Of which images the Inception Score is, and which classifier looks at them: the small world's, and the papers'."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text, write_json
from tastemaker.reproduce.stage import Needed
from tastemaker.world import captions
from tastemaker.world.captions import BACKGROUNDS, COLOURS, SHAPES, SIZES, Scene, Thing

if TYPE_CHECKING:
    from tastemaker.evaluate.classifier import Classifier

SUMMARY = "summary.json"


class Gallery(Protocol):
    """``samples`` images of every prompt, in ``parts`` parts that hold the same samples of each, and who looks."""

    @property
    def samples(self) -> int:
        """Images a prompt, a multiple of `parts`."""

    @property
    def parts(self) -> int:
        """Parts whose scores are averaged."""

    @property
    def key(self) -> str:
        """Another for what gives other numbers; empty in the small world, which has one."""

    @property
    def seconds(self) -> float:
        """What `prepare` should take."""

    @property
    def reads(self) -> tuple[Needed, ...]:
        """Weights of the classifier that come from elsewhere."""

    def prompts(self) -> tuple[str, ...]:
        """What is drawn."""

    def classes(self) -> tuple[int, ...]:
        """Of each prompt the class that its images should be of, as its place in the list of classes."""

    def settings(self) -> dict[str, Any]:
        """What stands beside the numbers."""

    def prepare(self, folder: Path) -> None:
        """Make or find the classifier, and write ``folder/summary.json`` about it last."""

    def open(self, folder: Path) -> Classifier:
        """What `prepare` left."""

    def said(self, measured: Mapping[str, Any]) -> str:
        """Classifier and images in words; ``measured`` is `prepare`'s summary."""


@dataclass(frozen=True)
class Singles:
    """Single things of the small world, ``each`` captions of each of 24 classes, drawn with ``seed``."""

    each: int = 4
    samples: int = 10
    parts: int = 5
    seed: int = 0
    key = ""
    seconds = 150.0
    reads = ()

    def prompts(self) -> tuple[str, ...]:
        """The captions in the order of their classes."""
        return _singles(self.each, self.seed)

    def classes(self) -> tuple[int, ...]:
        """Colour × shape."""
        return tuple(number // self.each for number in range(len(self.prompts())))

    def settings(self) -> dict[str, Any]:
        """Numbers of captions, samples and parts."""
        return {"a class": self.each, "samples": self.samples, "parts": self.parts, "seed": self.seed}

    def prepare(self, folder: Path) -> None:
        """Train the classifier of the world and measure its accuracy."""
        from tastemaker.world.classifier import train_classifier

        train_classifier(folder)

    def open(self, folder: Path) -> Classifier:
        """The trained one."""
        from tastemaker.world.classifier import WorldClassifier

        return WorldClassifier(str(folder))

    def said(self, measured: Mapping[str, Any]) -> str:
        """With the accuracy."""
        shown = " and ".join(f"{share:.1%} of {what}" for what, share in measured["accuracy"].items())
        images = len(self.prompts()) * self.samples
        return (
            f"Classifier of {measured['classes']} classes (colour × shape), taught on true renders: right "
            f"on {shown} of {measured['held_out']} held-out pictures. Images: {images} an arm and seed, {self.each} "
            f"captions a class (drawn with seed {self.seed}) and {self.samples} samples a caption, in {self.parts} "
            "parts; no checkpoint was chosen by one of these captions, but some stand in the pairs of the training."
        )


@cache
def _singles(each: int, seed: int) -> tuple[str, ...]:
    """Of captions of one thing in the centre that are not of the tune split, by which checkpoints are chosen."""
    texts: list[str] = []
    for colour in COLOURS:
        for shape in SHAPES:
            looks = [Scene((Thing(size, colour, shape, "center"),), on) for size in SIZES for on in BACKGROUNDS]
            free = [captions.caption(scene) for scene in looks if captions.split_of(scene) != "tune"]
            order = draw.numbers(seed, "inception captions", colour, shape).permutation(len(free))
            texts += [free[place] for place in order[:each]]
    return tuple(texts)


@dataclass(frozen=True)
class ImageNet:
    """As DDE (arXiv 2411.14871): ``samples`` images of "A photo of <name>" for each of ``names``, in ImageNet's order.

    ``spec`` names the classifier, as `tastemaker evaluate --classifier` takes it.
    """

    names: tuple[str, ...]
    spec: str = "inception"
    samples: int = 50
    parts: int = 10
    seconds = 60.0

    @cached_property
    def key(self) -> str:
        """A hash of prompts, number of samples and classifier."""
        return sha256_text(json.dumps([self.prompts(), self.samples, self.spec]))[:8]

    @property
    def reads(self) -> tuple[Needed, ...]:
        """The classifier's weights."""
        return (Needed("classifier", self.spec),)

    def prompts(self) -> tuple[str, ...]:
        """One a class; the two cranes and the two maillots are told apart."""
        from tastemaker.evaluate.inception import imagenet_prompts

        return tuple(imagenet_prompts(self.names))

    def classes(self) -> tuple[int, ...]:
        """ImageNet's order, which the 1008 outputs of the published network do not have."""
        return tuple(range(len(self.names)))

    def settings(self) -> dict[str, Any]:
        """Numbers of classes, samples and parts, and the classifier."""
        return {"classes": len(self.names), "samples": self.samples, "parts": self.parts, "classifier": self.spec}

    def prepare(self, folder: Path) -> None:
        """Find the classifier's weights."""
        found = self.open(folder)
        write_json(folder / SUMMARY, {"id": found.id, "classes": len(found.classes)})

    def open(self, folder: Path) -> Classifier:
        """Built of its spec."""
        from tastemaker.evaluate.classifier import build, parse

        del folder
        return build(*parse(self.spec))

    def said(self, measured: Mapping[str, Any]) -> str:
        """With the classifier's revision."""
        images = len(self.names) * self.samples
        return (
            f"Classifier {measured['id']} of {measured['classes']} outputs. Images: {images:,} an arm and seed, "
            f'{self.samples} of "A photo of …" for each of {len(self.names):,} class names, in {self.parts} parts '
            "that hold equally many of each, where others shuffle."
        )


NAMES = 1000
"""Of ImageNet."""


def imagenet(path: Path, spec: str) -> ImageNet:
    """Of the names in the file ``path``, read as prompts are; raises `UserError` where they are not ImageNet's 1000.

    Of ``spec`` only the spelling is looked at (`needed.find` opens it).
    """
    from tastemaker.evaluate.classifier import parse
    from tastemaker.evaluate.prompts import read_prompts

    parse(spec)
    names = tuple(name.strip() for name in read_prompts(path))
    if len(names) != NAMES:
        raise UserError(f"--class-names {path}: {len(names)} names; give ImageNet's {NAMES}, one a line, in order")
    made = ImageNet(names, spec)
    made.prompts()
    return made
