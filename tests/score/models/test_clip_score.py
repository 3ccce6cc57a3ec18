"""CLIP score: both layouts, the backbone in the id, text and crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from support.clip import (
    PROMPTS,
    SIDE,
    image_features,
    images,
    pixels_of,
    save_open_clip,
    save_transformers,
    text_features,
    tokens_of,
)
from tastemaker.score.models.clip_score import ClipScore
from tastemaker.score.table import build
from tastemaker.score.transform import CentreCrop


@pytest.mark.parametrize("act", ["gelu", "quick_gelu"])
def test_scores_are_the_cosines_of_the_saved_model(tmp_path: Path, act: str) -> None:
    model = save_transformers(tmp_path, act=act)
    tokens = torch.tensor([tokens_of(prompt) for prompt in PROMPTS])
    with torch.no_grad():
        out = model(input_ids=tokens, pixel_values=torch.stack([pixels_of(image) for image in images(4)]))
    raw = ClipScore(str(tmp_path)).score(PROMPTS, images(4))
    assert raw.dtype == np.float32
    assert raw == pytest.approx((out.image_embeds * out.text_embeds).sum(-1).numpy(), abs=1e-5)


def test_a_file_in_open_clips_layout(tmp_path: Path) -> None:
    state = save_open_clip(tmp_path, "open_clip.pt")
    seen = image_features(state, torch.stack([pixels_of(image) for image in images(4)]))
    read = text_features(state, torch.tensor([tokens_of(prompt) for prompt in PROMPTS]))
    scorer = ClipScore(str(tmp_path / "open_clip.pt"), str(tmp_path), str(tmp_path / "config.json"))
    assert scorer.score(PROMPTS, images(4)) == pytest.approx((seen * read).sum(-1).numpy(), abs=1e-5)
    assert scorer.id == f"clip@open_clip.pt-{scorer.trunk.revision}"


def test_the_id_names_the_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_transformers(tmp_path / "vit-tiny")
    scorer = ClipScore(str(tmp_path / "vit-tiny"))
    assert scorer.id == f"clip@vit-tiny-{scorer.trunk.revision}"
    assert ClipScore(str(tmp_path / "vit-tiny") + "/", dtype="float16").id == scorer.id + "-float16"
    monkeypatch.chdir(tmp_path / "vit-tiny")
    assert ClipScore(".").id == scorer.id


def test_a_hub_id_names_the_backbone_without_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_transformers(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    assert ClipScore("openai/clip-vit-base-patch32@refs/pr/3").id.startswith("clip@clip-vit-base-patch32-")


def test_text_is_cleaned_and_crops_are_torchvisions(tmp_path: Path) -> None:
    save_transformers(tmp_path)
    scorer = ClipScore(str(tmp_path))
    one, other = scorer.score(["a&amp;b", "a&b"], [images(1)[0]] * 2)
    assert one == other
    assert scorer.trunk.transform == CentreCrop(SIDE, "torchvision")
    assert (scorer.calibration, scorer.uses_prompt) == ("identity", True)


def test_openais_vit_l_14_unless_another_is_named() -> None:
    assert build("clip").checkpoint == "openai/clip-vit-large-patch14"
    assert build("clip:checkpoint=a/b,tokenizer=c/d") == ClipScore("a/b", "c/d")
