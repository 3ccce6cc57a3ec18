"""Loading by name: identities, and one line for every way it can fail."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from support.models import save_tiny_sd
from tastemaker.backbone.load import _adapter, identity, load
from tastemaker.backbone.source import SUPPORTED
from tastemaker.base.errors import UserError


@pytest.fixture
def folder(tmp_path):
    return save_tiny_sd(tmp_path / "model")


def test_identity_is_the_files_not_the_place(folder, tmp_path):
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "README.md").write_text("a note")
    assert identity(folder) == identity(moved) == load(folder).key
    assert identity(folder).startswith("sha256:")


def test_identity_changes_with_a_weight_or_a_setting(folder):
    before = identity(folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    after = identity(folder)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("0.012", "0.013"))
    assert len({before, after, identity(folder)}) == 3


def test_weights_are_cast_and_outputs_stay_float32(folder):
    """To the same bits as a model that is read whole and cast then."""
    backbone, whole = load(folder, dtype="bfloat16"), load(folder)
    for name, module in backbone.pipeline().components.items():
        if isinstance(module, torch.nn.Module):
            cast = whole.pipeline().components[name].bfloat16().state_dict()
            for key, tensor in module.state_dict().items():
                assert torch.equal(tensor, cast[key]), key
                assert tensor.dtype == cast[key].dtype
    assert backbone.condition(["a"])["embeds"].dtype == torch.float32


def test_loading_is_silent_where_nobody_looks_on(folder, capfd):
    load(folder)
    assert capfd.readouterr().err == ""


def test_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match="no such model folder"):
        load(tmp_path / "nowhere")


def test_every_supported_pipeline_has_an_adapter_and_a_row_in_the_docs(root):
    page = (root / "docs" / "backbones.md").read_text(encoding="utf-8")
    for kind in SUPPORTED:
        assert callable(_adapter(kind))
        assert f"| `{kind}` |" in page, kind


def test_a_folder_without_an_index(tmp_path):
    with pytest.raises(UserError, match=r"no model_index\.json in it"):
        load(tmp_path)


def test_an_unsupported_pipeline(folder):
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "KandinskyPipeline"}))
    with pytest.raises(UserError, match=r"model_index\.json: pipeline class 'KandinskyPipeline' is not supported"):
        load(folder)


def test_pickled_weights_are_not_read(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_truncated_weights(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be loaded"):
        load(folder)


def test_a_missing_or_foreign_adapter(folder, tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(UserError, match="no such adapter"):
        load(folder, adapter=tmp_path / "none")
    save_file({"something.weight": torch.zeros(2)}, tmp_path / "pytorch_lora_weights.safetensors")
    with pytest.raises(UserError, match="not LoRA weights of this model"):
        load(folder, adapter=tmp_path / "pytorch_lora_weights.safetensors")
