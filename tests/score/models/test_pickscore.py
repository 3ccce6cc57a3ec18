"""PickScore against transformers' own logits; crop, raw text, scale, mistakes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from support.clip import PROMPTS, SIDE, images, pixels_of, save_tokenizer, save_transformers, tokens_of
from tastemaker.base.errors import UserError
from tastemaker.score.models.pickscore import PickScore
from tastemaker.score.table import build
from tastemaker.score.transform import CentreCrop


def scorer_in(folder: Path, **options: str) -> PickScore:
    return PickScore(str(folder), str(folder), **options)


@pytest.mark.parametrize("old", [False, True])
def test_scores_are_the_logits_of_the_saved_model(tmp_path: Path, old: bool) -> None:
    """logits_per_image = exp(logit scale) · cos; its diagonal holds each image with its own prompt."""
    model = save_transformers(tmp_path, old=old)
    pixels = torch.stack([pixels_of(image) for image in images(4)])
    tokens = torch.tensor([tokens_of(prompt) for prompt in PROMPTS])
    raw = scorer_in(tmp_path).score(PROMPTS, images(4))
    assert raw.dtype == np.float32
    with torch.no_grad():
        wanted = model(input_ids=tokens, pixel_values=pixels).logits_per_image.diagonal()
    assert raw / 100 == pytest.approx(wanted.numpy() / 100, abs=1e-5)
    assert abs(raw).max() > 1


def test_the_scale_is_the_checkpoints(tmp_path: Path) -> None:
    """exp(ln 100) times the cosine of two unit vectors 60° apart is 50."""
    save_transformers(tmp_path)
    sixty = np.array([[0.5, np.sqrt(0.75)]], np.float32)
    assert scorer_in(tmp_path).head(np.array([[1, 0]], np.float32), sixty) == pytest.approx(50, abs=1e-3)


def test_a_score_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    save_transformers(tmp_path)
    scorer = scorer_in(tmp_path)
    together = scorer.score(PROMPTS, images(4))
    alone = [scorer.score([prompt], [image])[0] for prompt, image in zip(PROMPTS, images(4), strict=True)]
    assert together == pytest.approx(alone, abs=1e-4)  # 1e-6 of the cosine, times 100
    assert scorer.score(PROMPTS[::-1], images(4)[::-1])[::-1] == pytest.approx(together, abs=1e-4)


def test_prompts_are_read_raw_and_crops_are_hugging_faces(tmp_path: Path) -> None:
    save_transformers(tmp_path)
    scorer = scorer_in(tmp_path)
    one, other = scorer.score(["a&amp;b", "a&b"], [images(1)[0]] * 2)
    assert one != other
    assert scorer.trunk.transform == CentreCrop(SIDE, "hf")


def test_id_calibration_and_pickle(tmp_path: Path) -> None:
    save_transformers(tmp_path)
    scorer = scorer_in(tmp_path)
    assert scorer.id == f"pickscore@{scorer.trunk.revision}"
    assert scorer_in(tmp_path, dtype="bfloat16").id == scorer.id + "-bfloat16"
    assert (scorer.calibration, scorer.uses_prompt) == ("standardise:3", True)
    assert build("pickscore") == PickScore()
    raw = scorer.score(["x"], images(1))
    assert pickle.loads(pickle.dumps(scorer)).score(["x"], images(1)) == raw


def test_a_checkpoint_without_a_tokenizer_needs_another(tmp_path: Path) -> None:
    """As published: the weights' folder has no tables."""
    save_transformers(tmp_path / "model")
    (tmp_path / "model" / "merges.txt").unlink()
    with pytest.raises(UserError, match=r"pickscore: .*model: no tokenizer there .* tokenizer=FOLDER"):
        scorer_in(tmp_path / "model").score(["a"], images(1))
    tables = save_tokenizer(tmp_path / "tables")
    assert PickScore(str(tmp_path / "model"), str(tables)).truncated(PROMPTS) == 1
