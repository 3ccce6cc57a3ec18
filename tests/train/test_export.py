from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from support.training import make_task, recipe_of
from tastemaker.train import checkpoint
from tastemaker.train.training import train


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_task(tmp_path_factory.mktemp("task"), pairs=4)


def pipeline(folder: str | Path) -> Any:
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def drawn(loaded: Any) -> torch.Tensor:
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))
    return torch.from_numpy(loaded("a red circle", latents=noise, num_inference_steps=3, output_type="np").images)


def trained_weights(out: Path) -> dict[str, torch.Tensor]:
    found = checkpoint.newest(out)
    assert found is not None
    return found.tensors["weights"]


def test_the_adapter_loads_in_diffusers_and_draws_the_trained_models_image(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    """rank 2, alpha 4: a loader that took alpha = rank would draw another image."""
    from peft import LoraConfig

    train(recipe_of(tree, tmp_path, ema=0.0, lr=0.05))
    loaded = pipeline(tree["model"])
    base = drawn(loaded)
    loaded.load_lora_weights(tmp_path, weight_name="pytorch_lora_weights.safetensors")
    trained = pipeline(tree["model"])
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    trained.unet.add_adapter(LoraConfig(r=2, lora_alpha=4, target_modules=targets))
    named = {name.replace(".default.", "."): p for name, p in trained.unet.named_parameters() if "lora_" in name}
    with torch.no_grad():
        for name, weight in trained_weights(tmp_path).items():
            named[name].copy_(weight)
    assert torch.equal(drawn(loaded), drawn(trained))
    assert (drawn(loaded) - base).abs().max() > 1e-3


def test_a_full_model_loads_as_a_pipeline_with_the_trained_weights(tree: dict[str, Any], tmp_path: Path) -> None:
    train(recipe_of(tree | {"adapter": {"kind": "full"}}, tmp_path, ema=0.0))
    loaded = pipeline(tmp_path / "model")
    weights = trained_weights(tmp_path)
    assert weights.keys() == dict(loaded.unet.named_parameters()).keys()
    for name, parameter in loaded.unet.named_parameters():
        assert torch.equal(parameter, weights[name])
    assert not torch.equal(drawn(loaded), drawn(pipeline(tree["model"])))


def test_the_card_is_readable_by_the_hub_and_says_what_was_done(tree: dict[str, Any], tmp_path: Path) -> None:
    train(recipe_of(tree, tmp_path))
    _, header, text = (tmp_path / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(header)["library_name"] == "diffusers"
    for said in (
        tree["model"],
        "8 pairs",
        "random order",
        "| train.lr | 0.001 |",
        "moving average",
        "| torch |",
        "load_lora_weights",
    ):
        assert said in text


def test_the_command_in_the_card_runs(tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(recipe_of(tree, tmp_path))
    monkeypatch.chdir(tmp_path)
    code = (tmp_path / "README.md").read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(code.replace('snow")', 'snow", num_inference_steps=2)'), names)
    assert names["image"].size == (32, 32)
