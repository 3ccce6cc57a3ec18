"""The verb `generate` on a tiny random Stable Diffusion."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tastemaker.backbone.load import load
from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.evaluate import generating, sampling
from tastemaker.evaluate.generating import generate

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from models import save_tiny_sd

PROMPTS = ["a red square", "two blue circles", "שלום 🦊", "a red square"]
FAST: dict[str, Any] = {"steps": 2, "guidance": 3.0, "batch_size": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("models") / "sd")


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA weights with visible effect, saved by diffusers itself."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig, get_peft_model_state_dict

    folder = tmp_path_factory.mktemp("adapter")
    pipeline = StableDiffusionPipeline.from_pretrained(model, safety_checker=None)
    pipeline.unet.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_v"], init_lora_weights="gaussian"))
    for name, parameter in pipeline.unet.named_parameters():
        if "lora_" in name:
            parameter.data = draw.normal(tuple(parameter.shape), 0, name)
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipeline.unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=state)
    return folder


def images(folder: Path) -> np.ndarray:
    pngs = pq.read_table(folder / "images.parquet")["png"].to_pylist()
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])


def test_files_are_as_documented(model: Path, tmp_path: Path) -> None:
    facts = generate(model, PROMPTS, tmp_path / "out", samples=2, **FAST)
    table = pq.read_table(tmp_path / "out/images.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "prompt_index": "int32", "prompt": "string", "sample": "int32", "png": "binary"
    }  # fmt: skip
    assert table["prompt_index"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert table["sample"].to_pylist() == [0, 1] * 3
    assert (facts["prompts"], facts["duplicate_prompts"], facts["images"]) == (3, 1, 6)
    settings = json.loads((tmp_path / "out/settings.json").read_text())
    assert settings["size"] == [32, 32]
    assert settings["seed"] == 0
    assert "diffusers" in settings["versions"]
    assert Image.open(tmp_path / "out/grid.png").size[0] > 200
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.name != ".lock") == [
        "grid.png", "images.parquet", "settings.json", "summary.json"
    ]  # fmt: skip


def test_noise_is_a_function_of_seed_prompt_and_sample() -> None:
    work = sampling.jobs(["a", "b"], 2)
    noise = sampling.initial_noise(work, (4, 8, 8), seed=5)
    alone = sampling.initial_noise([sampling.Job(7, "b", 1)], (4, 8, 8), seed=5)
    assert torch.equal(noise[3], alone[0])
    assert torch.equal(noise[3], draw.normal((4, 8, 8), 5, "initial", "b", 1))
    assert len({float(row[0, 0, 0]) for row in noise}) == 4
    assert not torch.equal(noise, sampling.initial_noise(work, (4, 8, 8), seed=6))


@pytest.mark.parametrize("scheduler", ["ddim", "own"])
def test_batch_size_and_order_do_not_matter(model: Path, tmp_path: Path, scheduler: str) -> None:
    """Float rounding may move a pixel by one grey level, nothing more."""
    settings = FAST | {"scheduler": scheduler}
    generate(model, PROMPTS[:3], tmp_path / "one", **settings | {"batch_size": 1})
    generate(model, PROMPTS[:3], tmp_path / "three", **settings | {"batch_size": 3})
    generate(model, PROMPTS[2::-1], tmp_path / "turned", **settings)
    one, three, turned = (images(tmp_path / name).astype(int) for name in ("one", "three", "turned"))
    assert np.abs(one - three).max() <= 1
    assert np.abs(one - turned[::-1]).max() <= 1
    assert np.abs(one[0] - one[1]).max() > 10


def test_adapter_gives_the_images_of_load_lora_weights(model: Path, adapter: Path, tmp_path: Path) -> None:
    """Bit for bit, and they differ from the bare model's."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    generate(model, PROMPTS[:2], tmp_path / "tuned", adapter=adapter, **FAST)
    generate(model, PROMPTS[:2], tmp_path / "base", **FAST)
    pipeline = StableDiffusionPipeline.from_pretrained(model, safety_checker=None)
    pipeline.load_lora_weights(adapter)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    noise = torch.stack([draw.normal((4, 8, 8), 0, "initial", prompt, 0) for prompt in PROMPTS[:2]])
    theirs = pipeline(PROMPTS[:2], latents=noise, num_inference_steps=2, guidance_scale=3.0).images
    np.testing.assert_array_equal(images(tmp_path / "tuned"), np.stack([np.asarray(image) for image in theirs]))
    assert np.abs(images(tmp_path / "tuned").astype(int) - images(tmp_path / "base")).max() > 10


def test_without_guidance_a_step_is_one_forward(model: Path) -> None:
    backbone = load(model)
    rows: list[int] = []
    backbone.denoiser.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    list(sampling.sample(backbone, PROMPTS[:2], steps=2, guidance=1.0))
    assert rows == [2, 2]
    list(sampling.sample(backbone, PROMPTS[:2], steps=2, guidance=2.0))
    assert rows == [2, 2, 4, 4]


def test_a_killed_run_ends_with_the_same_bytes(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(model, PROMPTS, tmp_path / "whole", samples=2, **FAST)
    real, left = generating.draw_batch, iter(range(2))

    def dies(*args: Any, **settings: Any) -> list[Image.Image]:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(generating, "draw_batch", dies)
    with pytest.raises(KeyboardInterrupt):
        generate(model, PROMPTS, tmp_path / "killed", samples=2, **FAST)
    assert not (tmp_path / "killed/images.parquet").exists()
    drawn: list[int] = []
    monkeypatch.setattr(generating, "draw_batch", lambda *a, **k: drawn.append(len(a[1])) or real(*a, **k))
    generate(model, PROMPTS, tmp_path / "killed", samples=2, **FAST)
    assert drawn == [2]
    for name in ("images.parquet", "grid.png", "settings.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.fixture
def finished(model: Path, tmp_path: Path) -> Path:
    generate(model, PROMPTS, tmp_path / "out", **FAST)
    return tmp_path / "out"


def test_a_finished_folder_is_recognised(model: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.backbone.load.load", None)
    summary = json.loads((finished / "summary.json").read_text())
    assert generate(model, PROMPTS, finished, **FAST) == summary
    assert generate(model, PROMPTS, finished, **FAST | {"batch_size": 3}) == summary


def test_other_settings_are_refused(model: Path, adapter: Path, finished: Path) -> None:
    for settings, message in (
        ({"steps": 3}, "drawn with steps 2, not 3; choose another --out"),
        ({"seed": 1}, "drawn with seed 0, not 1"),
        ({"adapter": adapter}, "drawn with adapter_sha None, not"),
        ({"limit": 2}, "drawn with prompts 3, not 2"),
    ):
        with pytest.raises(UserError, match=message):
            generate(model, PROMPTS, finished, **FAST | settings)


def test_bad_arguments(model: Path, tmp_path: Path) -> None:
    for settings, message in (
        ({"steps": 0}, "--steps 0: must be at least 1"),
        ({"samples": 0}, "--samples 0: must be at least 1"),
        ({"limit": 0}, "at least one prompt is needed"),
        ({"adapter": tmp_path}, r"pytorch_lora_weights.safetensors: no such file"),
        ({"resolution": 30}, "resolution 30: not a multiple"),
        ({"batch_size": 0}, "--batch-size 0: must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            generate(model, PROMPTS, tmp_path / "out", **FAST | settings)
