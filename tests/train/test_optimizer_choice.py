"""The optimizer that a recipe names: what is unknown, not installed, or does not run on the device."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from support.optimizers import OWN, SHAPES, weights_of
from support.training import make_task, recipe_of
from tastemaker.backbone import load
from tastemaker.base.errors import UserError
from tastemaker.train import choice, inputs, optimizer
from tastemaker.train.choice import PACKED, AdamW
from tastemaker.train.config import Settings
from tastemaker.train.recipe import read_recipe
from tastemaker.train.training import train


@pytest.mark.parametrize("kind", PACKED)
def test_a_missing_library_is_named_with_the_command(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    extra = "bnb" if kind == "adamw8bit" else "torchao"
    with pytest.raises(UserError, match=rf"{kind} needs \w+, which is not .*: pip install 'tastemaker\[{extra}\]'$"):
        optimizer.make(weights_of(SHAPES), Settings(optimizer={"kind": kind}))


def test_a_recipe_without_its_library_is_told_before_anything_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` lists it, `train` stops at it."""
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    recipe = read_recipe(root / "recipes" / "sd15" / "sft.yaml", ["--train.optimizer.kind", "adamw8bit"])
    assert [line for line in inputs.missing(recipe) if "pip install 'tastemaker[bnb]'" in line]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kind", "adam"], "train.optimizer.kind: 'adam' is unknown, did you mean 'adamw'"),
        (["weight_decoy", "0"], "train.optimizer.weight_decoy: unknown field, did you mean 'weight_decay'"),
        (["eps", "0"], "train.optimizer.eps: 0 should be greater than 0"),
    ],
)
def test_wrong_settings_are_told_in_one_line(root: Path, words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_recipe(root / "recipes" / "sd15" / "sft.yaml", [f"--train.optimizer.{words[0]}", words[1]])


def test_what_a_kind_does_not_know_is_refused_by_name(root: Path) -> None:
    said = r"train\.optimizer\.betas: unknown field where kind: adafactor; known: kind, weight_decay"
    words = ["--train.optimizer", "{kind: adafactor, betas: [0.9, 0.99]}"]
    with pytest.raises(UserError, match=said):
        read_recipe(root / "recipes" / "sd15" / "sft.yaml", words)


def test_a_broken_library_is_told(stand_in: AdamW, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", SimpleNamespace())
    with pytest.raises(UserError, match="adamw8bit: bitsandbytes cannot be loaded"):
        optimizer.make(weights_of(SHAPES), Settings(optimizer=stand_in))


@pytest.mark.parametrize(
    ("kind", "device", "said"),
    [
        ("adamw8bit", "mps", "adamw8bit does not run on mps"),
        ("torchao-adamw4bit", "mps", "does not run on mps"),
        ("torchao-adamwfp8", "cuda", "needs a GPU of compute capability 8.9 or above, cuda has 8.6"),
        ("torchao-adamw8bit", "cpu", "there is no C"),
        ("torchao-adamw8bit", "cuda", "there is no C"),
    ],
)
def test_a_device_that_cannot_is_told(kind: Any, device: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    monkeypatch.setattr(optimizer.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=said):
        optimizer.require(AdamW(kind=kind), torch.device(device))


def test_a_device_that_cannot_is_told_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_task(tmp_path / "task", pairs=2)
    monkeypatch.setattr(choice, "find_spec", lambda _: object())
    monkeypatch.setattr(optimizer.shutil, "which", lambda _: None)
    monkeypatch.setattr(load, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    with pytest.raises(UserError, match="there is no C"):
        train(recipe_of(tree, tmp_path / "out", optimizer={"kind": "torchao-adamw8bit"}))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_plain_kinds_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    for kind in OWN:
        optimizer.require(kind, torch.device("mps"))


def test_the_kind_is_adamw_unless_given() -> None:
    assert Settings(optimizer={"weight_decay": 0.0}).optimizer == AdamW(weight_decay=0.0)
    assert Settings.model_validate(Settings().model_dump()) == Settings()
