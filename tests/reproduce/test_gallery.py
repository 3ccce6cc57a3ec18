"""Of what the Inception Score is at the papers' scale: class names, prompts, and a real classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.classifiers import save_tiny_vit
from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.reproduce.gallery import ImageNet, Singles, imagenet
from tastemaker.reproduce.stage import Needed


def write(path: Path, count: int) -> Path:
    """Class names, of which two are cranes and two maillots, as ImageNet has them."""
    names = [f"thing {number}" for number in range(count - 4)]
    path.write_text("\n".join([*names[:3], "crane", "maillot", *names[3:], "crane", "maillot"]) + "\n")
    return path


def test_fifty_images_of_each_class_as_the_paper_draws_them(tmp_path: Path) -> None:
    made = imagenet(write(tmp_path / "names.txt", 1000), "inception")
    prompts = made.prompts()
    assert len(set(prompts)) == len(prompts) == 1000
    assert prompts[0] == "A photo of thing 0"
    assert prompts[3:5] == ("A photo of bird crane", "A photo of maillot swimsuit")
    assert prompts[-2:] == ("A photo of machine crane", "A photo of maillot tanksuit")
    assert (made.samples, made.parts, made.classes()) == (50, 10, tuple(range(1000)))
    assert made.reads == (Needed("classifier", "inception"),)


def test_names_that_are_not_imagenet_s_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--class-names .*names.txt: 999 names; give ImageNet's 1000"):
        imagenet(write(tmp_path / "names.txt", 999), "inception")
    twice = tmp_path / "twice.txt"
    twice.write_text("dog\n" * 1000)
    with pytest.raises(UserError, match="class name 'dog' stands there 1000 times"):
        imagenet(twice, "inception")
    with pytest.raises(UserError, match="classifier 'hf-classifier:x': 'x' is not an option"):
        imagenet(write(tmp_path / "names.txt", 1000), "hf-classifier:x")
    with pytest.raises(UserError, match=r"none\.txt"):
        imagenet(tmp_path / "none.txt", "inception")


def test_a_classifier_in_the_layout_of_transformers_is_found_and_opened(tmp_path: Path) -> None:
    made = ImageNet(("a", "b", "c"), f"hf-classifier:checkpoint={save_tiny_vit(tmp_path / 'vit')}")
    made.prepare(tmp_path / "classifier")
    measured = read_json(tmp_path / "classifier" / "summary.json")
    assert measured["id"].startswith("hf-classifier@")
    assert measured["classes"] == 3
    logits = made.open(tmp_path / "classifier").logits([Image.new("RGB", (8, 8))])
    assert (logits.shape, logits.dtype) == ((1, 3), np.float32)
    assert f"Classifier {measured['id']} of 3 outputs. Images: 150 an arm and seed" in made.said(measured)


def test_the_small_world_reads_nothing_from_elsewhere() -> None:
    assert Singles().reads == ()
    assert Singles().key == ""
