"""The verb `generate` on a tiny random Stable Diffusion."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from support.generated import FAST, PROMPTS, drawn, images
from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.evaluate import generating
from tastemaker.evaluate import images as folders
from tastemaker.evaluate.generating import generate


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
        "grid.png", "images.parquet", "prompts.parquet", "settings.json", "summary.json"
    ]  # fmt: skip


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
    for name in ("images.parquet", "prompts.parquet", "grid.png", "settings.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resumed_with_another_batch_size(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images that were drawn before stay as they are, the others differ by float rounding at most."""
    whole = drawn(model, PROMPTS, tmp_path / "whole", FAST | {"batch_size": 1})
    real, left = generating.draw_batch, iter(range(1))

    def dies(*args: Any) -> list[Image.Image]:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(generating, "draw_batch", dies)
    with pytest.raises(KeyboardInterrupt):
        generate(model, PROMPTS, tmp_path / "killed", **FAST | {"batch_size": 1})
    monkeypatch.setattr(generating, "draw_batch", real)
    resumed = drawn(model, PROMPTS, tmp_path / "killed", FAST | {"batch_size": 2})
    assert list(resumed) == list(whole)
    assert np.array_equal(resumed[PROMPTS[0], 0], whole[PROMPTS[0], 0])
    assert all(np.abs(resumed[key] - whole[key]).max() <= 1 for key in whole)


@pytest.fixture
def finished(model: Path, tmp_path: Path) -> Path:
    generate(model, PROMPTS, tmp_path / "out", **FAST)
    return tmp_path / "out"


def test_a_finished_folder_is_recognised(model: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.backbone.load.load", None)
    summary = json.loads((finished / "summary.json").read_text())
    assert generate(model, PROMPTS, finished, **FAST) == summary
    assert generate(model, PROMPTS, finished, **FAST | {"batch_size": 3}) == summary


def test_a_finished_folder_of_an_older_version_is_valid(model: Path, finished: Path) -> None:
    """It has no prompts.parquet, and its settings say nothing of where the prompts are from."""
    (finished / "prompts.parquet").unlink()
    settings = json.loads((finished / "settings.json").read_text())
    del settings["prompt_set"]
    (finished / "settings.json").write_text(json.dumps(settings))
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    assert generate(model, PROMPTS, finished, **FAST) == json.loads(before["summary.json"])
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    assert folders.groups(finished) == {}


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


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.csv"
    rows = "a cat,Animals,", "a car,Vehicles,Basic", "a cat,People,Basic", "a dog,,Basic"
    path.write_text("\n".join(["Prompt,Category,Challenge", *rows]))
    return path


def test_prompts_and_their_groups_are_kept(model: Path, grouped: Path, tmp_path: Path) -> None:
    """A repeated prompt has its first groups."""
    facts = generate(model, grouped, tmp_path / "out", **FAST)
    assert (facts["prompts"], facts["duplicate_prompts"]) == (3, 1)
    table = pq.read_table(tmp_path / "out/prompts.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "prompt_index": "int32", "prompt": "string", "category": "string", "challenge": "string"
    }  # fmt: skip
    assert table.to_pydict() == {
        "prompt_index": [0, 1, 2],
        "prompt": ["a cat", "a car", "a dog"],
        "category": ["Animals", "Vehicles", ""],
        "challenge": ["", "Basic", "Basic"],
    }
    assert folders.groups(tmp_path / "out") == {
        "category": ["Animals", "Vehicles", ""], "challenge": ["", "Basic", "Basic"]
    }  # fmt: skip
    assert json.loads((tmp_path / "out/settings.json").read_text())["prompt_set"] == {
        "name": "prompts.csv",
        "sha256": hashlib.sha256(grouped.read_bytes()).hexdigest(),
        "layout": "table",
        "fields": ["category", "challenge"],
    }


def test_where_the_prompts_are_from_is_no_part_of_the_images(model: Path, grouped: Path, tmp_path: Path) -> None:
    """The same prompts from another file: recognised, and the folder is left as it was."""
    done = generate(model, grouped, tmp_path / "out", **FAST)
    before = (tmp_path / "out/settings.json").read_bytes()
    assert generate(model, ["a cat", "a car", "a dog"], tmp_path / "out", **FAST) == done
    assert (tmp_path / "out/settings.json").read_bytes() == before


def test_damaged_groups_are_one_line(model: Path, grouped: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    generate(model, grouped, out, limit=2, **FAST | {"steps": 1})
    generate(model, ["a cat", "a boat"], other, **FAST | {"steps": 1})
    shutil.copy(other / "prompts.parquet", out)
    with pytest.raises(UserError, match=r"prompts\.parquet: its prompts are not those of images\.parquet"):
        folders.groups(out)
    (out / "prompts.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"prompts\.parquet: not readable as Parquet"):
        folders.groups(out)
