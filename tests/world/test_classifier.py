"""The world's classifier: its classes, what it learns from, killed and resumed, and its contract."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError
from tastemaker.evaluate.classifier import NEEDED
from tastemaker.world import classifier as module
from tastemaker.world.captions import parse, split
from tastemaker.world.classifier import CLASSES, WEIGHTS, WorldClassifier, class_of, network, train_classifier
from tastemaker.world.fit import Plan
from tastemaker.world.render import to_bytes

PLAN = Plan(steps=6, batch=8, lr=3e-3, warmup=2, decay=0.5, checkpoint_every=2)


_measure = module.accuracies


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Fewer held-out pictures."""
    monkeypatch.setattr(module, "accuracies", lambda one, model: _measure(one, model, 40))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Untrained weights in the place of trained ones."""
    out = tmp_path_factory.mktemp("classifier")
    module._save(network(3), out / WEIGHTS)
    return out


def test_a_class_is_colour_and_shape():
    assert len(CLASSES) == 24
    assert CLASSES[:5] == ("red circle", "red square", "red triangle", "red cross", "green circle")
    assert CLASSES[class_of(parse("a small yellow cross on the left, gray background"))] == "yellow cross"
    with pytest.raises(ValueError, match="unpack"):
        class_of(parse("a small red cross on the left and a small blue cross on the right, gray background"))


def test_it_learns_from_the_train_split_alone(monkeypatch):
    shown = []
    draw = module.render
    monkeypatch.setattr(module, "render", lambda scene, random: (shown.append(scene), draw(scene, random))[1])
    pictures, classes = module.batch(PLAN, 0)
    assert set(shown) <= set(split("train")[0])
    assert classes.tolist() == [class_of(scene) for scene in shown]
    assert pictures.shape == (8, 3, 32, 32)
    again, _ = module.batch(PLAN, 0)
    other, _ = module.batch(PLAN, 1)
    assert torch.equal(pictures, again)
    assert not torch.equal(pictures, other)


def test_it_is_measured_on_the_test_split(monkeypatch, folder):
    """With answers known beforehand: right on 3 of 4 true renders, on none of the reconstructions."""
    shown = []
    draw = module.render
    monkeypatch.setattr(module, "render", lambda scene, random: (shown.append(scene), draw(scene, random))[1])

    signs = [np.array([[-1.0], [1.0], [1.0], [1.0]]), -np.ones((4, 1))]

    def told(*_):
        return signs.pop(0) * np.eye(len(CLASSES))[[class_of(scene) for scene in shown]]

    monkeypatch.setattr(WorldClassifier, "of_pixels", told)
    found = _measure(WorldClassifier(str(folder)), count=4)
    assert set(shown) <= set(split("test")[0])
    assert found == {"held_out": 4, "accuracy": {"true renders": 0.75, "reconstructions": 0.0}}


def test_stopped_and_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    whole = train_classifier(tmp_path / "whole", plan=PLAN)
    draw = module.batch

    def fails(plan, step):
        if step == 3:
            raise KeyboardInterrupt
        return draw(plan, step)

    monkeypatch.setattr(module, "batch", fails)
    with pytest.raises(KeyboardInterrupt):
        train_classifier(tmp_path / "halves", plan=PLAN)
    assert not (tmp_path / "halves" / "summary.json").exists()
    monkeypatch.setattr(module, "batch", draw)
    halves = train_classifier(tmp_path / "halves", plan=PLAN)
    assert (tmp_path / "whole" / WEIGHTS).read_bytes() == (tmp_path / "halves" / WEIGHTS).read_bytes()
    assert halves["accuracy"] == whole["accuracy"]
    assert whole["steps"] == 6
    monkeypatch.setattr(module, "batch", None)
    assert train_classifier(tmp_path / "whole", plan=PLAN) == whole  # finished: nothing is done
    with pytest.raises(UserError, match="other inputs or settings"):
        train_classifier(tmp_path / "whole", plan=dataclasses.replace(PLAN, steps=7))


def test_accuracies_of_another_autoencoder_are_not_given_again(tmp_path):
    """The same files elsewhere are the same model; another content is not."""
    other = tmp_path / "model"
    shutil.copytree(module.BASE_MODEL, other)
    first = train_classifier(tmp_path / "out", plan=PLAN)
    assert train_classifier(tmp_path / "out", plan=PLAN, model=other) == first
    path = other / "vae" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scaling_factor": 0.5}))
    with pytest.raises(UserError, match="other inputs or settings"):
        train_classifier(tmp_path / "out", plan=PLAN, model=other)


def test_it_is_a_classifier_whose_rows_do_not_see_each_other(folder):
    judge = WorldClassifier(str(folder))
    assert all(hasattr(judge, name) for name in NEEDED)
    assert judge.id == WorldClassifier(str(folder)).id
    pictures, _ = module.singles("test", 5, numbers(1))
    images = [Image.fromarray(to_bytes(picture)) for picture in pictures]
    together = judge.logits(images)
    assert together.shape == (5, 24)
    assert together.dtype == np.float32
    alone = np.concatenate([judge.logits([image]) for image in images])
    assert together == pytest.approx(alone, abs=1e-5)
    assert judge.logits([images[0].resize((64, 64), Image.Resampling.NEAREST)]).shape == (1, 24)


def test_weights_that_are_not_there_or_not_its_own(tmp_path):
    with pytest.raises(UserError, match=r"world-classifier: path=.*: no model.safetensors there; give a folder"):
        WorldClassifier(str(tmp_path))
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match="of another network, or damaged"):
        WorldClassifier(str(tmp_path)).of_pixels(np.zeros((1, 32, 32, 3), np.float32))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_training_makes_next_to_no_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "accuracies", _measure)
    found = train_classifier(tmp_path)
    assert found["held_out"] == 2000
    assert found["accuracy"]["true renders"] > 0.99
    assert found["accuracy"]["reconstructions"] > 0.95
    assert (tmp_path / WEIGHTS).stat().st_size < 300_000
