"""Any model of transformers: its own logits, a head applied by hand, and one line for what cannot be loaded."""

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

from support import hf_rewards
from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError
from tastemaker.score.models.hf_reward import HfReward
from tastemaker.score.scorer import transformed
from tastemaker.score.table import build
from tastemaker.score.transform import CentreCrop

PROMPTS = ["a red cat", "the blue dog on the sea a cat", "a red cat"]
IDS = torch.tensor([[3, 4, 6, 1] + [0] * 12, [9, 5, 7, 8, 9, 10, 3, 6, 1] + [0] * 7, [3, 4, 6, 1] + [0] * 12])


def image(seed: int, size: tuple[int, int] = (40, 32)) -> Image.Image:
    pixels = numbers("hf-reward", seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size)


IMAGES = [image(0), image(1, (33, 50)), image(1, (33, 50))]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf")
    hf_rewards.save_clip(folder / "clip")
    hf_rewards.save_siglip(folder / "siglip")
    hf_rewards.save_gemma(folder / "gemma")
    return folder


def reward(folder: Path, **options: object) -> HfReward:
    return HfReward(str(folder), device="cpu", **options)


def test_a_clip_gives_its_own_logits(saved: Path) -> None:
    """The diagonal of transformers' logits for the cropped pixels and ids written down; 20 is exp(logit scale)."""
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(saved / "clip")
    pixels = torch.from_numpy(transformed(CentreCrop(32, "hf"), IMAGES))
    with torch.no_grad():
        wanted = model(input_ids=IDS, attention_mask=(IDS != 0).long(), pixel_values=pixels).logits_per_image.diagonal()
    raw = reward(saved / "clip").score(PROMPTS, IMAGES)
    assert raw.dtype == np.float32
    assert np.ptp(wanted.numpy()) > 0.1
    np.testing.assert_allclose(raw, wanted.numpy(), atol=2e-5)
    cosine = reward(saved / "clip", raw="cosine").score(PROMPTS, IMAGES)
    np.testing.assert_allclose(20 * cosine, raw, atol=2e-5)


def test_a_siglip_gives_its_own_logits(saved: Path) -> None:
    """7 · cos − 3, of pixels squeezed to the square and mapped to [−1, 1]; its tokens have no mask."""
    from transformers import SiglipModel

    model = SiglipModel.from_pretrained(saved / "siglip")
    shown = [np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC), np.float32) for picture in IMAGES]
    pixels = torch.from_numpy(np.stack(shown).transpose(0, 3, 1, 2) / 127.5 - 1)
    with torch.no_grad():
        wanted = model(input_ids=IDS, pixel_values=pixels).logits_per_image.diagonal().numpy()
    np.testing.assert_allclose(reward(saved / "siglip").score(PROMPTS, IMAGES), wanted, atol=2e-5)
    cosine = reward(saved / "siglip", raw="cosine").score(PROMPTS, IMAGES)
    np.testing.assert_allclose(7 * cosine - 3, wanted, atol=2e-5)


@pytest.mark.parametrize("output", [0, 1])
def test_a_classifier_gives_the_logit_of_the_last_token(saved: Path, output: int) -> None:
    """Each row alone, its conversation tokenised here, its last state times the head's row."""
    from transformers import Gemma3ForSequenceClassification, Gemma3Processor

    folder = saved / "gemma"
    model, tokens = Gemma3ForSequenceClassification.from_pretrained(folder), Gemma3Processor.from_pretrained(folder)
    wanted = []
    for prompt, picture in zip(PROMPTS, IMAGES, strict=True):
        seen = "\n\n<start_of_image>" + "<image_soft_token>" * 4 + "<end_of_image>\n\n"
        text = f"<bos><start_of_turn>user{seen}{prompt}<end_of_turn>"
        ids = torch.tensor([tokens.tokenizer(text, add_special_tokens=False).input_ids])
        small = np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR), np.float32)
        pixels = torch.from_numpy(small.transpose(2, 0, 1)[None] / 127.5 - 1)
        kinds = (ids == model.config.image_token_id).long()
        with torch.no_grad():
            states = model.model(input_ids=ids, pixel_values=pixels, token_type_ids=kinds).last_hidden_state
            wanted.append((states[0, -1] @ model.score.weight[output]).item())
    assert np.ptp(wanted) > 0.05
    np.testing.assert_allclose(reward(folder, output=output).score(PROMPTS, IMAGES), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip", "gemma"])
def test_a_row_does_not_depend_on_its_batch(saved: Path, kind: str) -> None:
    scorer = reward(saved / kind)
    together = scorer.score(PROMPTS, IMAGES)
    alone = [scorer.score([prompt], [picture])[0] for prompt, picture in zip(PROMPTS, IMAGES, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(scorer.score(PROMPTS[::-1], IMAGES[::-1]), together[::-1], atol=1e-5)
    assert len(np.unique(together.round(4))) == 3, "prompt and image both count"


def test_an_image_that_stands_there_twice_is_seen_once(saved: Path) -> None:
    scorer, seen = reward(saved / "clip"), []
    handle = scorer._judge().model.vision_model.register_forward_pre_hook(
        lambda _, __, given: seen.append(len(given["pixel_values"])), with_kwargs=True
    )
    scorer.score(["a cat"] * 3, [IMAGES[0], IMAGES[1], IMAGES[0]])
    handle.remove()
    assert seen == [2]


def test_long_prompts_are_cut_and_counted(saved: Path, tmp_path: Path) -> None:
    """15 words and </s> just fit; a text tower with fewer positions than its tokenizer says reads those alone."""
    fits, long = " ".join(["cat"] * 15), " ".join(["cat"] * 15 + ["dog"] * 9)
    raw = reward(saved / "clip").score([fits, long], [IMAGES[0]] * 2)
    assert raw[0] == pytest.approx(raw[1], abs=1e-6)
    assert reward(saved / "clip").truncated([fits, long]) == 1
    assert reward(saved / "gemma").truncated([fits, long]) == 0
    short = reward(hf_rewards.save_clip(tmp_path / "short", positions=12))
    assert short.truncated([fits, "a cat", long]) == 2
    assert np.isfinite(short.score([fits], [IMAGES[0]])).all()


def test_id_follows_what_is_computed(saved: Path, tmp_path: Path) -> None:
    scorer = reward(saved / "clip")
    copy = shutil.copytree(saved / "clip", tmp_path / "copy")
    assert reward(copy).id == scorer.id
    assert len(scorer.id) == len("hf-reward@") + 12
    assert reward(copy, raw="cosine").id == f"{scorer.id}-cosine"
    assert reward(copy, output=1, dtype="bfloat16").id == f"{scorer.id}-output1-bfloat16"
    other = shutil.copytree(saved / "clip", tmp_path / "other")
    state = load_file(other / "model.safetensors")
    save_file(state | {"logit_scale": torch.tensor(1.0)}, other / "model.safetensors", {"format": "pt"})
    assert reward(other).id != scorer.id


def test_old_weights_are_unpickled_without_running_them(saved: Path, tmp_path: Path) -> None:
    """A ``.bin`` of tensors scores as the safetensors do; one with code in it is refused, and the code has not run."""
    old = shutil.copytree(saved / "clip", tmp_path / "old")
    state = load_file(old / "model.safetensors")
    (old / "model.safetensors").unlink()
    torch.save(state, old / "pytorch_model.bin")
    np.testing.assert_array_equal(reward(old).score(PROMPTS, IMAGES), reward(saved / "clip").score(PROMPTS, IMAGES))
    evil = shutil.copytree(old, tmp_path / "evil")
    torch.save(state | {"x": Runs(tmp_path / "ran")}, evil / "pytorch_model.bin")
    with pytest.raises(UserError, match="transformers does not load it"):
        reward(evil).score(PROMPTS, IMAGES)
    assert not (tmp_path / "ran").exists()


class Runs:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_is_built_by_its_options_and_pickles(saved: Path) -> None:
    table = {"hf-reward": "tastemaker.score.models.hf_reward:HfReward"}
    scorer = build(f"hf-reward:checkpoint={saved / 'clip'},raw=cosine,device=cpu", table)
    assert scorer == reward(saved / "clip", raw="cosine") == pickle.loads(pickle.dumps(scorer))
    with pytest.raises(UserError, match="hf-reward: which model"):
        build("hf-reward", table)


def test_says_nothing_on_the_terminal(saved: Path) -> None:
    code = (
        "import sys\nfrom PIL import Image\nfrom tastemaker.score.models.hf_reward import HfReward\n"
        "for kind in ('clip', 'gemma'):\n"
        "    scorer = HfReward(f'{sys.argv[1]}/{kind}')\n"
        "    scorer.id, scorer.truncated(['cat ' * 99]), scorer.score(['a cat'], [Image.new('RGB', (40, 32))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, saved], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _without(folder: Path, name: str) -> None:
    state = load_file(folder / "model.safetensors")
    state.pop(name)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def _with(folder: Path, **tensors: torch.Tensor) -> None:
    save_file(load_file(folder / "model.safetensors") | tensors, folder / "model.safetensors", {"format": "pt"})


def _configured(folder: Path, **settings: object) -> None:
    found = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(found | settings))


def _text_classifier(folder: Path) -> None:
    _configured(folder, model_type="bert", architectures=["BertForSequenceClassification"])
    for name in ("processor_config.json", "tokenizer_config.json"):
        (folder / name).unlink()


AUTO_MAP = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: _without(f, "visual_projection.weight"), "missing visual_projection.weight (1 such) in its weights"),
        (lambda f: _with(f, rm_head=torch.ones(2)), "unexpected rm_head (1 such) in its weights"),
        (lambda f: _with(f, logit_scale=torch.ones(2)), "transformers does not load it ("),
        (lambda f: _configured(f, model_type="mine", auto_map=AUTO_MAP), "transformers does not load it ("),
        (lambda f: _configured(f, model_type="bert"), "BertModel is no reward model: it is no …ForSequence"),
        (lambda f: (f / "processor_config.json").unlink(), "transformers does not load it ("),
        (lambda f: _text_classifier(f), "no processor of images and text there; save the model's own beside it"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "transformers does not load it ("),
    ],
)
def test_each_broken_folder_is_one_line(saved: Path, tmp_path: Path, change, message: str) -> None:
    copy = shutil.copytree(saved / "clip", tmp_path / "copy")
    (copy / "code.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    change(copy)
    with pytest.raises(UserError) as caught:
        reward(copy).score(["a cat"], [IMAGES[0]])
    assert str(caught.value).startswith(f"hf-reward: {copy}: {message}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_a_classifier_without_a_chat_template_is_refused(saved: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(saved / "gemma", tmp_path / "copy")
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="no chat template, so how it wants image and prompt is unknown"):
        reward(copy).score(["a cat"], [IMAGES[0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "nowhere"}, "hf-reward: nowhere: no such file or folder; give a path or a hub id"),
        ({"checkpoint": "/"}, "hf-reward: / has no config.json"),
        ({"raw": "logit"}, "hf-reward: raw=logit: say scaled or cosine"),
        ({"output": -1}, "hf-reward: output=-1: logits are counted from 0"),
        ({"dtype": "int8"}, "hf-reward: dtype=int8: say float32"),
        ({"output": 2}, "hf-reward: output=2: "),
    ],
)
def test_each_mistake_is_one_line(saved: Path, options: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        HfReward(**{"checkpoint": str(saved / "gemma"), "device": "cpu"} | options).score(["a cat"], [IMAGES[0]])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
