"""transformers' layout: old and new files, shards, what is missing or does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.clip import LENGTH, SIDE, images, pixels_of, save_transformers
from tastemaker.base.errors import UserError
from tastemaker.score.clip.weights import TransformersFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_transformers(tmp_path)
    return tmp_path


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        TransformersFolder("pickscore", str(folder)).load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("old", [False, True])
def test_the_model_is_the_one_that_was_saved(tmp_path: Path, old: bool) -> None:
    saved = save_transformers(tmp_path, old=old)
    weights = TransformersFolder("pickscore", str(tmp_path))
    loaded = weights.load()
    pixels = torch.stack([pixels_of(image) for image in images(3)])
    tokens = torch.arange(3 * LENGTH).view(3, LENGTH)
    for one, other in zip(saved(tokens, pixels)[2:4], loaded(tokens, pixels)[2:4], strict=True):
        assert torch.equal(one, other)
    assert [file.name for file in weights.files] == ["config.json", "pytorch_model.bin" if old else "model.safetensors"]
    assert (weights.side, weights.length) == (SIDE, LENGTH)
    assert not loaded.training


def test_safetensors_go_before_pickles(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    TransformersFolder("pickscore", str(folder)).load()


def test_shards_are_one_model(folder: Path) -> None:
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    for part in (0, 1):
        save_file({name: whole[name] for name in names[part::2]}, folder / f"model-0000{part + 1}-of-00002.safetensors")
    loaded = TransformersFolder("pickscore", str(folder)).load().state_dict()
    assert all(torch.equal(loaded[name], whole[name]) for name in names)


def test_a_configuration_of_transformers_4_is_understood(folder: Path) -> None:
    """As PickScore's: settings of text generation in both towers, an end that is 2, no type of its own."""
    path = folder / "config.json"
    found = json.loads(path.read_text())
    leftovers = {"top_k": 50, "num_beams": 1, "torch_dtype": None, "use_bfloat16": False, "pruned_heads": {}}
    for tower in ("text_config", "vision_config"):
        found[tower] |= leftovers | {"transformers_version": "4.24.0"}
    path.write_text(
        json.dumps(found | {"text_config_dict": None, "vision_config_dict": None, "torch_dtype": "float32"})
    )
    loaded = TransformersFolder("pickscore", str(folder)).load()
    assert loaded.config.text_config.eos_token_id == 2
    assert loaded.dtype == torch.float32


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert refusal(folder) == f"pickscore: {folder}: no weights there (model.safetensors or pytorch_model.bin)"
    (folder / "config.json").unlink()
    assert refusal(folder) == f"pickscore: {folder}: no config.json there; give a folder of transformers"


def test_another_kind_of_model_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "blip"}))
    assert "model_type 'blip' is no CLIP" in refusal(folder)
    (folder / "config.json").write_text("[]")
    assert "model_type None is no CLIP" in refusal(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "clip", "text_config": {"hidden_size": "wide"}}))
    assert "no configuration of a CLIP" in refusal(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s.pop("vision_model.pre_layrnorm.bias"), "vision_model.pre_layrnorm.bias is missing"),
        (lambda s: s.update(more=torch.ones(1)), "more is unexpected"),
        (
            lambda s: s.update(logit_scale=torch.ones(2)),
            "logit_scale has the shape [2] where the configuration wants []",
        ),
    ],
)
def test_weights_that_do_not_fit(folder: Path, edit, message: str) -> None:
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors")
    assert refusal(folder).startswith(f"pickscore: {folder / 'model.safetensors'}: {message}")
