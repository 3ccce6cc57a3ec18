"""VQAScore: against its three parts put together here row by row, its square, and what it refuses."""

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
from safetensors.torch import save_file

from support import clip_flan
from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError
from tastemaker.score.models.vqascore import OnSquare, VqaScore
from tastemaker.score.scorer import transformed
from tastemaker.score.table import build
from tastemaker.score.transform import MEAN, STD

PROMPTS = ["a red cat", "two blue dogs on the sea, and a cat", "a red cat"]


def image(seed: int, size: tuple[int, int] = (336, 336)) -> Image.Image:
    pixels = numbers("vqascore", seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size)


IMAGES = [image(0, (400, 336)), image(1), image(1)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, clip_flan.Parts]:
    folder = tmp_path_factory.mktemp("vqa") / "tiny"
    return folder, clip_flan.save_tiny(folder)


@pytest.fixture(scope="module")
def folder(saved) -> Path:
    return saved[0]


@pytest.fixture(scope="module")
def scorer(folder: Path) -> VqaScore:
    return VqaScore(str(folder), str(folder / "flan"), "float32", "cpu")


def test_is_the_likelihood_of_yes(saved, scorer: VqaScore) -> None:
    """exp(−loss) of T5 for "Yes</s>", one row at a time: 9 patches of the tower's last but one state, projected,
    between the words before and after; softmax over the tokens that the tokenizer has.
    """
    tower, projector, t5 = saved[1]
    tokens, wanted = clip_flan.tokenizer(), []
    system = "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful,"
    before = tokens(f"{system} detailed, and polite answers to the user's questions. USER: ", return_tensors="pt")
    for prompt, pixels in zip(PROMPTS, torch.from_numpy(transformed(scorer.transform, IMAGES)), strict=True):
        asked = f'\nDoes this figure show "{prompt}"? Please answer yes or no. ASSISTANT: '
        with torch.no_grad():
            seen = projector(tower(pixels[None], output_hidden_states=True).hidden_states[2][:, 1:])
            words = [t5.shared(before.input_ids), seen, t5.shared(tokens(asked, return_tensors="pt").input_ids)]
            logits = t5(inputs_embeds=torch.cat(words, 1), decoder_input_ids=torch.tensor([[0, 3]])).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :, : len(tokens)], torch.tensor([3, 1]))
        wanted.append(torch.exp(-loss).item())
    raw = scorer.score(PROMPTS, IMAGES)
    assert raw.dtype == np.float32
    assert ((raw > 0) & (raw < 1)).all()
    assert np.ptp(np.log(wanted)) > 0.01
    np.testing.assert_allclose(raw, wanted, rtol=1e-5)


def test_the_words_are_those_of_training(scorer: VqaScore) -> None:
    """Both parts of the question and the answer end with </s>; the answer is one piece."""
    tokens = clip_flan.tokenizer()
    before, after, answer, size = scorer._asked(["a cat"])
    assert (before[-1], after[0][-1], answer) == (1, 1, [3, 1])
    assert tokens.decode(after[0][:-1]).strip() == 'Does this figure show "a cat"? Please answer yes or no. ASSISTANT:'
    assert size == len(tokens)


def test_a_row_does_not_depend_on_its_batch(scorer: VqaScore) -> None:
    together = scorer.score(PROMPTS, IMAGES)
    alone = [scorer.score([prompt], [picture])[0] for prompt, picture in zip(PROMPTS, IMAGES, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    np.testing.assert_allclose(scorer.score(PROMPTS[::-1], IMAGES[::-1]), together[::-1], rtol=1e-5)
    assert len(np.unique(together)) == 3, "prompt and image both count"


def test_on_square_centres_on_the_mean_colour() -> None:
    """A white 4 × 2 image: a band of white between a row above and a row below of (122, 116, 104)."""
    pixels = OnSquare(4)(Image.new("RGB", (4, 2), "white"))
    colour = [
        (np.float32(value) / 255 - mean) / std for value, mean, std in zip((122, 116, 104), MEAN, STD, strict=True)
    ]
    np.testing.assert_allclose(pixels[:, 0, 0], colour, atol=1e-6)
    np.testing.assert_allclose(pixels[:, 3, 3], colour, atol=1e-6)
    np.testing.assert_allclose(
        pixels[:, 1:3], [[[(1 - m) / s] * 4] * 2 for m, s in zip(MEAN, STD, strict=True)], atol=1e-6
    )
    np.testing.assert_array_equal(OnSquare(4)(Image.new("RGB", (2, 4), "white")), pixels.transpose(0, 2, 1))


def test_long_prompts_are_cut_and_counted(scorer: VqaScore) -> None:
    """2048 tokens with the image as one: a letter is a token, and so is the space before every word."""
    tokens = clip_flan.tokenizer()
    before, after, _, _ = scorer._asked([""])
    room = 2048 - 1 - len(before) - len(after[0])
    fits, long = "a" * room, "a" * (room + 1)
    assert scorer.truncated([fits, long]) == 1
    assert [len(row) for row in scorer._asked([fits, long, "a" * 5000])[1]] == [2047 - len(before)] * 3
    assert len(tokens("Yes").input_ids) == 2


@pytest.mark.parametrize("layout", ["safetensors", "shards", "shared alone"])
def test_layouts_of_the_weights(saved, scorer: VqaScore, tmp_path: Path, layout: str) -> None:
    """The same numbers from safetensors, from two of them with an index, and with the embedding under one name."""
    copy, state = shutil.copytree(saved[0], tmp_path / "copy"), clip_flan.state(saved[1])
    (copy / "pytorch_model.bin").unlink()
    same = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "embed_tokens.weight")
    kept = {name: value.clone() for name, value in state.items() if layout != "shared alone" or name not in same}
    if layout == "shards":
        names = sorted(kept)
        for number, part in enumerate((names[::2], names[1::2]), 1):
            save_file({name: kept[name] for name in part}, copy / f"model-0000{number}-of-00002.safetensors")
        where = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(names)}
        (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    else:
        save_file(kept, copy / "model.safetensors")
    again = VqaScore(str(copy), str(copy / "flan"), "float32", "cpu")
    np.testing.assert_array_equal(again.score(PROMPTS, IMAGES), scorer.score(PROMPTS, IMAGES))
    if layout == "shards":
        (copy / "model-00001-of-00002.safetensors").unlink()
        fresh = shutil.copytree(copy, tmp_path / "fresh")
        with pytest.raises(UserError, match=r"model-00001-of-00002\.safetensors is missing, though .*index\.json"):
            VqaScore(str(fresh), str(copy / "flan")).score(PROMPTS, IMAGES)


def test_half_precision_is_near_and_has_an_id_of_its_own(scorer: VqaScore, folder: Path) -> None:
    half = VqaScore(str(folder), str(folder / "flan"), device="cpu")
    np.testing.assert_allclose(half.score(PROMPTS, IMAGES), scorer.score(PROMPTS, IMAGES), rtol=0.2)
    assert half.id == f"{scorer.id}-bfloat16"
    assert len(scorer.id) == len("vqascore@") + 12


def test_is_built_by_its_options_and_pickles(scorer: VqaScore, folder: Path) -> None:
    table = {"vqascore": "tastemaker.score.models.vqascore:VqaScore"}
    again = build(f"vqascore:checkpoint={folder},tokenizer={folder}/flan,dtype=float32,device=cpu", table)
    assert again == scorer == pickle.loads(pickle.dumps(scorer))
    assert (scorer.calibration, scorer.uses_prompt) == ("identity", True)


def test_says_nothing_on_the_terminal(folder: Path) -> None:
    code = (
        "import sys\nfrom PIL import Image\nfrom tastemaker.score.models.vqascore import VqaScore\n"
        "scorer = VqaScore(sys.argv[1], sys.argv[1] + '/flan')\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "scorer.id, scorer.truncated(['cat ' * 999]), scorer.score(['a cat'], [Image.new('RGB', (40, 32))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _changed(folder: Path, change) -> None:
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    change(state)
    torch.save(state, folder / "pytorch_model.bin")


TOWER = "vision_tower.vision_tower.vision_model."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("mm_projector.2.bias"), "lacks projector.2.bias (1 missing)"),
        (
            lambda s: s.pop(f"{TOWER}embeddings.position_embedding.weight"),
            f"lacks {TOWER}embeddings.position_embedding",
        ),
        (lambda s: s.update({"rm_head.weight": torch.ones(1)}), "has an unexpected t5.rm_head.weight (1 such)"),
        (lambda s: s.update({"lm_head.weight": torch.ones(3, 24)}), "t5.lm_head.weight has the shape [3, 24], not ["),
    ],
)
def test_names_a_tensor_that_does_not_fit(folder: Path, tmp_path: Path, change, message: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    _changed(copy, change)
    with pytest.raises(UserError) as caught:
        VqaScore(str(copy), str(copy / "flan"), device="cpu").score(["a cat"], [image(0)])
    assert str(caught.value).startswith(f"vqascore: {copy}/pytorch_model.bin: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "nowhere"}, "vqascore: nowhere: no such file or folder; give a path or a hub id"),
        ({"checkpoint": "/"}, "vqascore: /: no weights there (.safetensors or .bin)"),
        ({"tokenizer": "/"}, "vqascore: / has no tokenizer.json; give tokenizer= the folder of Flan-T5's"),
        ({"dtype": "float16"}, "vqascore: dtype=float16: say float32 or bfloat16"),
    ],
)
def test_each_mistake_is_one_line(folder: Path, options: dict, message: str) -> None:
    given = {"checkpoint": str(folder), "tokenizer": str(folder / "flan"), "device": "cpu"} | options
    with pytest.raises(UserError) as caught:
        VqaScore(**given).score(["a cat"], [image(0)])
    assert str(caught.value).startswith(message)


def test_refuses_another_model(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    clip_flan.save_tiny(small, side=224)
    with pytest.raises(UserError, match="reads images of 224 × 224 pixels; CLIP-FlanT5's have 336"):
        VqaScore(str(small), str(small / "flan")).score(["a cat"], [image(0)])
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match=r"config\.json: model_type 'llama' is no CLIP-FlanT5"):
        VqaScore(str(copy), str(copy / "flan")).score(["a cat"], [image(0)])
