"""The verb export: what other programs read draws what was trained, again and again, or nothing is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard

from support.training import make_task, recipe_of
from tastemaker.backbone.load import identity
from tastemaker.base.errors import UserError
from tastemaker.train.convert import convert
from tastemaker.train.training import train


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_task(tmp_path_factory.mktemp("task"), pairs=4)


@pytest.fixture(scope="module")
def run(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA on attention and convolutions, far from its first values; rank 2, alpha 4."""
    adapter = {"kind": "lora", "rank": 2, "alpha": 4, "targets": ["to_q", "to_out.0", "proj_in"]}
    out = tmp_path_factory.mktemp("runs") / "mine"
    train(recipe_of(tree | {"adapter": adapter}, out, ema=0.5, lr=0.05))
    return out


@pytest.fixture(scope="module")
def full(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "full"
    train(recipe_of(tree | {"adapter": {"kind": "full"}}, out))
    return out


def pipeline(folder: str | Path) -> Any:
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def drawn(loaded: Any) -> torch.Tensor:
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))
    return torch.from_numpy(loaded("a red circle", latents=noise, num_inference_steps=3, output_type="np").images)


def with_lora(tree: dict[str, Any], file: Path) -> torch.Tensor:
    loaded = pipeline(tree["model"])
    loaded.load_lora_weights(file.parent, weight_name=file.name)
    return drawn(loaded)


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_format_draws_the_trained_models_image(tree: dict[str, Any], run: Path, tmp_path: Path) -> None:
    trained = with_lora(tree, run / "pytorch_lora_weights.safetensors")
    assert (trained - drawn(pipeline(tree["model"]))).abs().max() > 1e-3
    found = {form: convert(run, form, tmp_path / form) for form in ("lora", "kohya", "merged")}  # type: ignore[arg-type]
    assert found["lora"]["weights"] == "pytorch_lora_weights.safetensors"
    assert found["kohya"]["weights"] == "mine.kohya.safetensors"
    assert torch.equal(with_lora(tree, tmp_path / "lora" / found["lora"]["weights"]), trained)
    assert (with_lora(tree, tmp_path / "kohya" / found["kohya"]["weights"]) - trained).abs().max() < 1e-5
    assert (drawn(pipeline(tmp_path / "merged")) - trained).abs().max() < 1e-5
    assert [path.name for path in (tmp_path / "merged").glob(".tmp-*")] == []
    for form in found:
        assert ModelCard.load(tmp_path / form / "README.md").data.library_name == "diffusers"
        assert (tmp_path / form / "recipe.yaml").read_text() == (run / "recipe.yaml").read_text()


def test_a_second_export_is_recognised_and_only_its_card_is_new(run: Path, tmp_path: Path) -> None:
    first = convert(run, "kohya", tmp_path)
    before = stamps(tmp_path)
    again = convert(run, "kohya", tmp_path, license="apache-2.0", datasets=("owner/data",))
    assert again == first
    changed = [path for path, stamp in stamps(tmp_path).items() if before.get(path) != stamp]
    assert {Path(path).name for path in changed} <= {"README.md", ".lock"}
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.license, data.datasets) == ("apache-2.0", ["owner/data"])
    with pytest.raises(UserError, match="holds the output of other inputs or settings"):
        convert(run, "lora", tmp_path)


def test_a_model_keeps_its_identity_when_it_is_exported_twice(run: Path, tmp_path: Path) -> None:
    """The summary, which holds the time that was taken, is no part of the model."""
    for name in ("one", "two"):
        convert(run, "merged", tmp_path / name)
    assert identity(tmp_path / "one") == identity(tmp_path / "two")


def test_an_export_that_was_killed_is_made_again(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker.train import convert as module

    def die(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "_move", die)
    with pytest.raises(RuntimeError):
        convert(run, "merged", tmp_path)
    assert not (tmp_path / "model_index.json").exists()
    monkeypatch.undo()
    convert(run, "merged", tmp_path)
    assert (tmp_path / "model_index.json").exists()
    assert list(tmp_path.glob(".tmp-*")) == []


def test_a_merged_model_can_be_smaller(run: Path, tmp_path: Path) -> None:
    convert(run, "merged", tmp_path, dtype="bfloat16")
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(tmp_path / "unet", torch_dtype="auto")
    weights = (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size
    assert weights < 2.5 * sum(parameter.numel() for parameter in unet.parameters())


def test_full_training_is_handed_over_whole_and_has_no_lora(full: Path, tmp_path: Path) -> None:
    convert(full, "merged", tmp_path / "whole")
    assert torch.equal(drawn(pipeline(tmp_path / "whole")), drawn(pipeline(full / "model")))
    for form in ("lora", "kohya"):
        with pytest.raises(UserError, match=f"--format {form}: .* trained every weight"):
            convert(full, form, tmp_path / "none")  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_what_is_no_finished_run_is_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no recipe\.yaml here; give the folder that tastemaker train wrote"):
        convert(tmp_path / "nowhere", "lora", tmp_path / "out")
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / "summary.json").unlink()
    with pytest.raises(UserError, match="copy: not finished"):
        convert(copy, "lora", tmp_path / "out")
    shutil.copy(run / "summary.json", copy)
    (copy / "pytorch_lora_weights.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match=r"pytorch_lora_weights\.safetensors: not readable as LoRA weights"):
        convert(copy, "kohya", tmp_path / "out")
    (copy / "pytorch_lora_weights.safetensors").unlink()
    with pytest.raises(UserError, match=r"pytorch_lora_weights\.safetensors is missing"):
        convert(copy, "lora", tmp_path / "out")
    with pytest.raises(UserError, match="is the run itself"):
        convert(run, "lora", run)


def test_a_push_takes_the_folder_and_names_the_repository(run: Path, tmp_path: Path) -> None:
    class Hub:
        def create_repo(self, repo_id: str, **_: Any) -> Any:
            self.repo_id = repo_id
            return self

        def upload_folder(self, folder_path: Path, **_: Any) -> None:
            self.card = (folder_path / "README.md").read_text()

        def __str__(self) -> str:
            return "https://hub/me/tuned"

    hub: Any = Hub()
    assert "pushed to" not in convert(run, "lora", tmp_path)
    assert convert(run, "lora", tmp_path, repo="me/tuned", api=hub)["pushed to"] == "https://hub/me/tuned"
    assert 'pipe.load_lora_weights("me/tuned"' in hub.card
