"""A classifier of single things of the small world, for the Inception Score: colour × shape, 24 classes.

It learns on true renders of the train split and on nothing else, blurred and made noisy at random like those of the
world scorer (`contrast.spoil`), so that a sample of a diffusion model is not a foreign thing. How often it is right is
measured on captions that it never saw: on true renders, and on what the base model's autoencoder makes of them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tastemaker.backbone.load import load
from tastemaker.backbone.source import find, identity_of
from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, locked, sha256_file
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.world import captions
from tastemaker.world.assets import BASE_MODEL
from tastemaker.world.captions import COLOURS, SHAPES, Scene
from tastemaker.world.contrast import spoil
from tastemaker.world.fit import Fit, Plan, parameters_of
from tastemaker.world.pretrain import reconstruct
from tastemaker.world.render import Array, render
from tastemaker.world.scorer import pixels

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "model.safetensors"
CLASSES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
CLASSIFIER = Plan(steps=1500, batch=64, lr=3e-3, warmup=100, decay=0.99)
WIDTHS = (24, 32, 48, 64)
HELD_OUT = 2000
"""Renders on which it is measured."""


def class_of(scene: Scene) -> int:
    """The class of a scene's one thing, a place in `CLASSES`."""
    (thing,) = scene.things
    return CLASSES.index(f"{thing.colour} {thing.shape}")


def network(seed: int) -> nn.Sequential:
    """Untrained: four convolutions, the largest answer of each channel, a linear layer; 50 k weights.

    No layer looks at other rows of a batch.
    """
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for number, (inner, outer) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False)):
        layers += [nn.Conv2d(inner, outer, 3, stride=1 if number == 0 else 2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], len(CLASSES)))


def singles(split: captions.Split, count: int, random: np.random.Generator) -> tuple[Array, list[int]]:
    """Renders of single things of a split, drawn with repetition: [count, SIDE, SIDE, 3] in [0, 1], and classes."""
    scenes = captions.split(split)[0]
    chosen = [scenes[number] for number in random.integers(len(scenes), size=count)]
    return np.stack([render(scene, random) for scene in chosen]), [class_of(scene) for scene in chosen]


def batch(plan: Plan, step: int) -> tuple[Tensor, Tensor]:
    """Spoilt pictures [B, 3, SIDE, SIDE] in [−1, 1] and their classes [B], of the train split."""
    random = numbers(plan.seed, "classifier", step)
    pictures, classes = singles("train", plan.batch, random)
    return spoil(_shown(pictures), random), torch.tensor(classes)


def train_classifier(out: Path, *, plan: Plan = CLASSIFIER, model: Path = BASE_MODEL) -> dict[str, Any]:
    """Train into ``out/model.safetensors`` and measure it; resumable. ``model`` is whose autoencoder is measured."""
    started = time.monotonic()
    mark = fingerprint(**dataclasses.asdict(plan), model=identity_of(model, find(model, None)))
    with locked(out):
        if done := finished(out, mark):
            return done
        net = network(plan.seed)

        def loss_at(step: int) -> Tensor:
            pictures, classes = batch(plan, step)
            return nn.functional.cross_entropy(net(pictures), classes)

        Fit(out, plan, parameters_of({"net": net})).run(loss_at, "classifier")
        _save(net, out / WEIGHTS)
        facts = {**accuracies(WorldClassifier(str(out)), model), **dataclasses.asdict(plan)}
        return finish(out, "world classifier", started, fingerprint=mark, classes=len(CLASSES), **facts)


def accuracies(classifier: WorldClassifier, model: Path = BASE_MODEL, count: int = HELD_OUT) -> dict[str, Any]:
    """Share of right classes of ``count`` renders of captions of the test split, and of their reconstructions."""
    pictures, classes = singles("test", count, numbers("classifier", "held out"))
    pipeline = load(model, device="cpu").pipeline()
    parts = np.array_split(pictures, -(-count // 200))
    remade = np.concatenate([reconstruct(pipeline, part) for part in parts])
    right = {
        "true renders": classifier.of_pixels(pictures).argmax(1) == classes,
        "reconstructions": classifier.of_pixels(remade).argmax(1) == classes,
    }
    return {"held_out": count, "accuracy": {name: float(hits.mean()) for name, hits in right.items()}}


@dataclasses.dataclass(frozen=True)
class WorldClassifier:
    """A trained one (`evaluate.classifier.Classifier`); ``path`` is the folder of `train_classifier`."""

    path: str = ""

    classes: ClassVar[tuple[str, ...]] = CLASSES

    def __post_init__(self) -> None:
        if not (Path(self.path) / WEIGHTS).is_file():
            raise UserError(f"world-classifier: path={self.path}: no {WEIGHTS} there; give a folder that holds one")

    @cached_property
    def id(self) -> str:
        """For example ``world-classifier@1a2b3c4d``: the hash of its weights."""
        return f"world-classifier@{sha256_file(Path(self.path) / WEIGHTS)[:8]}"

    def logits(self, images: Sequence[Image]) -> np.ndarray:
        """Scores before the softmax, float32 [n, 24]; images of another size are scaled."""
        return self.of_pixels(np.stack([pixels(image) for image in images]))

    def of_pixels(self, pictures: Array) -> np.ndarray:
        """The same of pictures [n, SIDE, SIDE, 3] in [0, 1]."""
        with torch.no_grad():
            found: np.ndarray = _load(self.path)(_shown(pictures)).numpy()
        return found


def _shown(pictures: Array) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous() * 2 - 1


def _save(net: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    with atomic_file(path) as temporary:
        save_file({name: value.contiguous() for name, value in net.state_dict().items()}, temporary)


@cache
def _load(path: str) -> nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    net = network(0)
    try:
        net.load_state_dict(load_file(Path(path) / WEIGHTS))
    except (SafetensorError, RuntimeError):
        raise UserError(f"world-classifier: {Path(path) / WEIGHTS}: of another network, or damaged") from None
    return net.eval()
