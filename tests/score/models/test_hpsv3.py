"""HPSv3: against Qwen2-VL's parts put together here row by row, its question, and what it refuses."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from support import qwen_reward
from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text
from tastemaker.score.models.hpsv3 import Hpsv3
from tastemaker.score.models.hpsv3_question import question
from tastemaker.score.table import build
from tastemaker.score.transform import MEAN, STD

PROMPTS = ["a red cat", "two blue dogs on the sea, and {a} cat", "a red cat"]


def image(seed: int, size: tuple[int, int]) -> Image.Image:
    pixels = numbers("hpsv3", seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size)


IMAGES = [image(0, (512, 300)), image(1, (64, 64)), image(1, (64, 64))]
GRIDS = [(26, 42), (32, 32), (32, 32)]
"""Rows and columns of patches of 14: 300 × 512 scaled to 448² pixels is 343 × 585, and up to whole 28s 364 × 588."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, qwen_reward.State]:
    folder = tmp_path_factory.mktemp("hpsv3") / "tiny"
    return folder, qwen_reward.save_tiny(folder)


@pytest.fixture(scope="module")
def folder(saved) -> Path:
    return saved[0]


@pytest.fixture(scope="module")
def scorer(folder: Path) -> Hpsv3:
    return Hpsv3(str(folder), str(folder / "base"), "float32", "cpu")


def patches(picture: Image.Image, rows: int, columns: int) -> torch.Tensor:
    """Patches of 14 × 14 pixels, four neighbours after each other, each twice for the two frames of a still."""
    small = np.asarray(picture.resize((14 * columns, 14 * rows), Image.Resampling.BICUBIC), np.float32)
    pixels = torch.from_numpy(((small / 255 - MEAN) / STD).astype(np.float32))
    cells = pixels.reshape(rows // 2, 2, 14, columns // 2, 2, 14, 3).permute(0, 3, 1, 4, 6, 2, 5)
    return cells[..., None, :, :].expand(*cells.shape[:5], 2, 14, 14).reshape(rows * columns, -1)


def wanted(state: qwen_reward.State, tokens, prompt: str, picture: Image.Image, grid: tuple[int, int]) -> float:
    """Tower, words with the image among them, language model with plain positions, head: one row alone."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_dict(qwen_reward.settings(len(tokens)))).eval()
    model.load_state_dict({name: value for name, value in state.items() if not name.startswith("rm_head")})
    ids = torch.tensor([tokens(question(prompt, grid[0] * grid[1] // 4)).input_ids])
    reward = tokens.convert_tokens_to_ids("<|Reward|>")
    with torch.no_grad():
        seen = model.model.visual(patches(picture, *grid), grid_thw=torch.tensor([[1, *grid]])).pooler_output
        embeds = model.model.language_model.embed_tokens(ids)
        embeds[ids == tokens.convert_tokens_to_ids("<|image_pad|>")] = seen
        x = model.model.language_model(inputs_embeds=embeds).last_hidden_state[ids == reward][0]
        for step in (0, 3):
            x = torch.relu(state[f"rm_head.{step}.weight"] @ x + state[f"rm_head.{step}.bias"])
    return float((state["rm_head.5.weight"] @ x + state["rm_head.5.bias"])[0])


def test_is_the_mean_at_the_reward_token(saved, scorer: Hpsv3) -> None:
    tokens = qwen_reward.tokenizer()
    tokens.add_tokens(["<|Reward|>"], special_tokens=True)
    alone = [wanted(saved[1], tokens, *row) for row in zip(PROMPTS, IMAGES, GRIDS, strict=True)]
    raw = scorer.score(PROMPTS, IMAGES)
    assert raw.dtype == np.float32
    assert np.ptp(alone) > 0.01
    np.testing.assert_allclose(raw, alone, atol=2e-5)


def test_a_row_does_not_depend_on_its_batch(scorer: Hpsv3) -> None:
    together = scorer.score(PROMPTS, IMAGES)
    alone = [scorer.score([prompt], [picture])[0] for prompt, picture in zip(PROMPTS, IMAGES, strict=True)]
    np.testing.assert_allclose(together, alone, atol=2e-5)
    assert abs(together[1] - together[2]) > 1e-3, "the prompt counts"
    assert abs(together[0] - together[2]) > 1e-3, "the image counts"


def test_the_question_is_the_published_one() -> None:
    """Pinned as it was read in the authors' code, with spaces at the ends of lines."""
    text = question("a {cat}", 2)
    assert "<|vision_start|><|image_pad|><|image_pad|><|vision_end|>\nYou are tasked with" in text
    assert "10 being the best. \n\n**Visual Quality:**  \nEvaluate" in text
    assert "lowest possible. \n\n**Text Alignment:**  \nAssess" in text
    assert "description.\nTextual prompt - a {cat}\n\n\n\nPlease provide the overall ratings" in text
    assert text.endswith("of this image: <|Reward|>\n\nEND\n<|im_end|>\n<|im_start|>assistant\n")
    assert sha256_text(text)[:12] == "32ab6fb1a0ec"


def test_a_prompt_cannot_speak_the_models_tokens(scorer: Hpsv3) -> None:
    """A second reward token, or an image, in a prompt is just text."""
    raw = scorer.score(["a <|Reward|> cat <|image_pad|>", "a cat"], [IMAGES[1]] * 2)
    assert raw.shape == (2,)
    assert raw[0] == pytest.approx(scorer.score(["a < |Reward|> cat < |image_pad|>"], [IMAGES[1]])[0], abs=2e-5)


def test_newer_names_give_the_same(saved, scorer: Hpsv3, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    qwen_reward.save_tiny(newer, "new")
    again = Hpsv3(str(newer), str(newer / "base"), "float32", "cpu")
    np.testing.assert_array_equal(again.score(PROMPTS[:1], IMAGES[:1]), scorer.score(PROMPTS[:1], IMAGES[:1]))


def test_half_precision_is_near_and_has_an_id_of_its_own(scorer: Hpsv3, folder: Path) -> None:
    half = Hpsv3(str(folder), str(folder / "base"), device="cpu")
    np.testing.assert_allclose(half.score(PROMPTS, IMAGES), scorer.score(PROMPTS, IMAGES), atol=0.1)
    assert half.id == f"{scorer.id}-bfloat16"
    assert len(scorer.id) == len("hpsv3@") + 12
    assert half.truncated(PROMPTS) == 0


def test_is_built_by_its_options_and_pickles(scorer: Hpsv3, folder: Path) -> None:
    table = {"hpsv3": "tastemaker.score.models.hpsv3:Hpsv3"}
    again = build(f"hpsv3:checkpoint={folder},base={folder}/base,dtype=float32,device=cpu", table)
    assert again == scorer == pickle.loads(pickle.dumps(scorer))
    assert (scorer.calibration, scorer.uses_prompt) == ("standardise:3", True)


def test_says_nothing_on_the_terminal(folder: Path) -> None:
    code = (
        "import sys\nfrom PIL import Image\nfrom tastemaker.score.models.hpsv3 import Hpsv3\n"
        "scorer = Hpsv3(sys.argv[1], sys.argv[1] + '/base')\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "scorer.id, scorer.score(['a cat'], [Image.new('RGB', (40, 32))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("rm_head.5.bias"), "lacks head.5.bias (1 missing)"),
        (lambda s: s.pop("model.embed_tokens.weight"), "lacks backbone.language_model.embed_tokens.weight"),
        (lambda s: s.update({"value_head.weight": torch.ones(1)}), "has an unexpected value_head.weight (1 such)"),
        (lambda s: s.update({"rm_head.3.bias": torch.ones(4)}), "head.3.bias has the shape [4], not [16]"),
    ],
)
def test_names_a_tensor_that_does_not_fit(folder: Path, tmp_path: Path, change, message: str) -> None:
    state = load_file(folder / qwen_reward.WEIGHTS)
    change(state)
    save_file(state, tmp_path / qwen_reward.WEIGHTS)
    with pytest.raises(UserError) as caught:
        Hpsv3(str(tmp_path), str(folder / "base"), device="cpu").score(PROMPTS[:1], IMAGES[:1])
    assert str(caught.value).startswith(f"hpsv3: {tmp_path}/HPSv3.safetensors: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "nowhere"}, "hpsv3: nowhere: no such file or folder; give a path or a hub id"),
        ({"checkpoint": "/"}, "hpsv3: / has no HPSv3.safetensors"),
        ({"base": "/"}, "hpsv3: / has no config.json; give base= the folder of Qwen2-VL-7B-Instruct"),
        ({"dtype": "int8"}, "hpsv3: dtype=int8: say float32"),
    ],
)
def test_each_mistake_is_one_line(folder: Path, options: dict, message: str) -> None:
    given = {"checkpoint": str(folder), "base": str(folder / "base"), "device": "cpu"} | options
    with pytest.raises(UserError) as caught:
        Hpsv3(**given).score(PROMPTS[:1], IMAGES[:1])
    assert str(caught.value).startswith(message)


def test_refuses_another_base_and_damaged_weights(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "base" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UserError, match=r"config\.json: model_type 'llama' is no Qwen2-VL; give base="):
        Hpsv3(str(copy), str(copy / "base")).score(PROMPTS[:1], IMAGES[:1])
    (copy / qwen_reward.WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"HPSv3\.safetensors: not readable as weights"):
        Hpsv3(str(copy), str(folder / "base")).score(PROMPTS[:1], IMAGES[:1])
