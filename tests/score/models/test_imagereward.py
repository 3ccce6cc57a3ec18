"""ImageReward: against the original's golden states, against BLIP written down again, and what it refuses."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support import blip
from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError
from tastemaker.score.models import med
from tastemaker.score.models.imagereward import ImageReward
from tastemaker.score.models.weights import distinct
from tastemaker.score.scorer import transformed
from tastemaker.score.table import build
from tastemaker.score.transform import CentreCrop

PROMPTS = ["a red cat", "the blue dogs on the sea, a cat", "a red cat"]


def image(seed: int, size: tuple[int, int] = (224, 224)) -> Image.Image:
    pixels = numbers("imagereward", seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blip.save_tiny(tmp_path_factory.mktemp("imagereward") / "tiny")


@pytest.fixture(scope="module")
def scorer(folder: Path) -> ImageReward:
    return ImageReward(str(folder), str(folder / "bert"), device="cpu")


@pytest.fixture
def broken(folder: Path, tmp_path: Path):
    """Save the weights with a change, and score with them."""

    def score(change) -> None:
        state = torch.load(folder / "ImageReward.pt", weights_only=True)
        change(state)
        copy = shutil.copytree(folder, tmp_path / "copy")
        torch.save(state, copy / "ImageReward.pt")
        ImageReward(str(copy), str(copy / "bert"), device="cpu").score(["a cat"], [image(0)])

    return score


def test_states_of_the_original_code(shared_data: Path, tmp_path: Path) -> None:
    """Image and text states that the original's code computes from a small random model, to 1e-5."""
    golden = torch.load(shared_data / "golden" / "imagereward_tiny.pt", weights_only=True)
    stack = {name: value for name, value in blip.tiny_state(32, 16, 64, 48).items() if name.startswith("mlp.")}
    torch.save(golden["sd"] | stack, tmp_path / "ImageReward.pt")
    (tmp_path / "med_config.json").write_text('{"num_attention_heads": 4}')
    model = med.load(tmp_path / "ImageReward.pt", tmp_path / "med_config.json", vision_heads=4)
    with torch.no_grad():
        rounded = model.read(model.look(golden["x"]), golden["ids"], golden["m"])
        model.double()  # without rounding of ours, so that the figure is the same on every machine
        states = model.look(golden["x"].double())
        text = model.read(states, golden["ids"], golden["m"])
    assert (states - golden["e"]).abs().max() < 1e-5
    assert (text - golden["o"]).abs().max() < 1e-5
    assert (rounded - golden["o"]).abs().max() < 3e-5  # twice what float32 rounds here; 8.6e-6 where this was written


@pytest.mark.parametrize("side", ["image", "text"])
def test_states_in_double_precision(folder: Path, side: str) -> None:
    """Both sides against BLIP written down again, where rounding hides nothing: eps, heads, masks, order of norms."""
    model = med.load(folder / "ImageReward.pt", folder / "med_config.json").double()
    state = {name: value.double() for name, value in blip.tiny_state(224, 32, 32, 24).items()}
    pixels = torch.from_numpy(transformed(ImageReward().transform, [image(0), image(1)])).double()
    ids, mask = torch.tensor([[2, 5, 8, 3], [2, 6, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    expected = blip.image_states(state, pixels, heads=16)
    with torch.no_grad():
        if side == "image":
            assert (model.look(pixels) - expected).abs().max() < 1e-10
        else:
            wanted = blip.text_states(state, expected, ids, mask, heads=4)
            assert (model.read(expected, ids, mask) - wanted)[mask == 1].abs().max() < 1e-10


def test_end_to_end(scorer: ImageReward, folder: Path) -> None:
    """Words, padding to 35, both sides, the linear stack and the standardisation, against BLIP written down again."""
    images = [image(0, (227, 224)), image(1), image(2, (90, 130))]  # 3 pixels too many: 2 go on the left
    pixels = transformed(CentreCrop(224, "torchvision"), images)
    raw = scorer.score(PROMPTS, images)
    words = [[2, 5, 6, 8, 3], [2, 13, 7, 9, 10, 11, 13, 14, 12, 5, 8, 3], [2, 5, 6, 8, 3]]
    ids = torch.tensor([row + [0] * (35 - len(row)) for row in words])
    state = blip.tiny_state(224, 32, 32, 24)
    states = blip.image_states(state, torch.from_numpy(pixels), heads=16)
    expected = blip.reward(state, blip.text_states(state, states, ids, (ids != 0).long(), heads=4)).numpy()
    assert raw.dtype == np.float32
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(raw, expected, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch(scorer: ImageReward) -> None:
    images = [image(0), image(1), image(0)]
    together = scorer.score(PROMPTS, images)
    alone = [scorer.score([prompt], [picture])[0] for prompt, picture in zip(PROMPTS, images, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(scorer.score(PROMPTS[::-1], images[::-1]), together[::-1], atol=1e-5)


def test_prompt_and_image_both_count(scorer: ImageReward) -> None:
    raw = scorer.score(["a cat", "a dog", "a cat"], [image(0), image(0), image(1)])
    assert abs(raw[0] - raw[1]) > 1e-3
    assert abs(raw[0] - raw[2]) > 1e-3


def test_an_image_that_stands_there_twice_is_looked_at_once(scorer: ImageReward) -> None:
    pixels = transformed(scorer.transform, [image(0), image(1), image(0), image(1), image(1)])
    assert distinct(pixels) == ([0, 1], [0, 1, 0, 1, 1])
    looked: list[int] = []
    handle = scorer._model()[0].vision.register_forward_pre_hook(
        lambda _, __, given: looked.append(len(given["pixel_values"])), with_kwargs=True
    )
    scorer.score_pixels(["a cat"] * 5, pixels)
    handle.remove()
    assert looked == [2]


def test_long_prompts_are_cut_at_35_tokens_and_counted(scorer: ImageReward) -> None:
    """33 words and [CLS], [SEP] just fit; what stands after them changes nothing."""
    fits, long, longer = " ".join(["cat"] * 33), " ".join(["cat"] * 34), " ".join(["cat"] * 33 + ["dog"] * 600)
    assert scorer.truncated([fits, long, longer, ""]) == 2
    assert scorer.truncated([]) == 0
    raw = scorer.score([fits, longer], [image(0)] * 2)
    assert raw[0] == pytest.approx(raw[1], abs=1e-6)


def test_id_follows_what_is_computed(scorer: ImageReward, folder: Path, tmp_path: Path) -> None:
    assert scorer.id.startswith("imagereward@")
    assert len(scorer.id) == len("imagereward@") + 12
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert ImageReward(str(copy / "ImageReward.pt"), str(copy / "bert")).id == scorer.id
    heads = shutil.copytree(folder, tmp_path / "heads")
    (heads / "med_config.json").write_text('{"num_attention_heads": 6}')
    assert ImageReward(str(heads), str(folder / "bert")).id != scorer.id
    assert ImageReward(str(folder), str(folder / "bert"), dtype="bfloat16").id == f"{scorer.id}-bfloat16"


def test_half_precision_is_near(scorer: ImageReward, folder: Path) -> None:
    half = ImageReward(str(folder), str(folder / "bert"), "bfloat16", "cpu").score(PROMPTS, [image(0)] * 3)
    full = scorer.score(PROMPTS, [image(0)] * 3)
    np.testing.assert_allclose(half, full, atol=0.3)
    assert abs(half - full).max() > 1e-4


def test_is_built_by_its_options_and_pickles(scorer: ImageReward, folder: Path) -> None:
    table = {"imagereward": "tastemaker.score.models.imagereward:ImageReward"}
    again = build(f"imagereward:checkpoint={folder},tokenizer={folder}/bert,device=cpu", table)
    before = scorer.score(["a cat"], [image(0)])
    assert again == scorer == pickle.loads(pickle.dumps(scorer))
    assert again.score(["a cat"], [image(0)]) == before
    assert (scorer.calibration, scorer.uses_prompt) == ("range:-3,3", True)


def test_says_nothing_on_the_terminal(folder: Path) -> None:
    code = (
        "import sys\nfrom PIL import Image\nfrom tastemaker.score.models.imagereward import ImageReward\n"
        "scorer = ImageReward(sys.argv[1], sys.argv[1] + '/bert')\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "scorer.id, scorer.truncated(['cat ' * 600]), scorer.score(['a cat'], [Image.new('RGB', (224, 224))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("blip.visual_encoder.pos_embed", "lacks blip.visual_encoder.pos_embed; is it another model's?"),
        ("blip.visual_encoder.blocks.1.mlp.fc2.bias", "lacks vision.encoder.layers.1.mlp.fc2.bias (1 missing)"),
        ("blip.text_encoder.encoder.layer.0.output.dense.bias", "lacks text.encoder.layer.0.output.dense.bias"),
        ("mlp.layers.7.weight", "lacks mlp.7.weight (1 missing)"),
    ],
)
def test_names_a_missing_tensor(broken, name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        broken(lambda state: state.pop(name))
    assert message in str(caught.value)
    assert "ImageReward.pt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_a_tensor_too_many(broken) -> None:
    with pytest.raises(UserError, match=r"ImageReward\.pt: has an unexpected mlp\.9\.weight \(1 such\)"):
        broken(lambda state: state.update({"mlp.layers.9.weight": torch.zeros(1)}))


def test_names_a_shape_that_does_not_fit(broken) -> None:
    with pytest.raises(UserError, match=r"mlp\.6\.weight has the shape \[16, 65\], not \[16, 64\]"):
        broken(lambda state: state.update({"mlp.layers.6.weight": torch.zeros(16, 65)}))


def test_refuses_a_model_for_images_of_another_size(tmp_path: Path) -> None:
    small = blip.save_tiny(tmp_path / "small", side=96)
    with pytest.raises(UserError, match=r"reads images of 96 × 96 pixels; ImageReward's have 224"):
        ImageReward(str(small), str(small / "bert")).score(["a cat"], [image(0)])


def test_refuses_heads_that_do_not_divide_the_width(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "med_config.json").write_text('{"num_attention_heads": 5}')
    with pytest.raises(UserError, match="a width of 24 does not make 5 attention heads"):
        ImageReward(str(copy), str(copy / "bert")).score(["a cat"], [image(0)])
    (copy / "med_config.json").write_text("{")
    with pytest.raises(UserError, match=r"med_config\.json: not readable"):
        med.load(copy / "ImageReward.pt", copy / "med_config.json")


def test_without_med_config_there_are_twelve_heads(folder: Path, tmp_path: Path) -> None:
    """BERT-base's; transformers' own default of 8 would fit a width of 24 as well and be wrong without a word."""
    shutil.copy(folder / "ImageReward.pt", tmp_path / "renamed.pt")
    assert med.load(tmp_path / "renamed.pt").text.config.num_attention_heads == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "nowhere"}, "imagereward: nowhere: no such file or folder; give a path or a hub id"),
        ({"checkpoint": "/"}, "imagereward: / has no ImageReward.pt"),
        ({"tokenizer": "nowhere"}, "imagereward: nowhere: no such file or folder"),
        ({"tokenizer": "/"}, "imagereward: / has no vocab.txt; give tokenizer= the folder of bert-base-uncased"),
        ({"device": "cuda:99"}, "imagereward: device=cuda:99: not to be had here; give auto, cpu or cuda:0"),
        ({"dtype": "int8"}, "imagereward: dtype=int8: say float32, float16, bfloat16"),
    ],
)
def test_each_mistake_is_one_line(folder: Path, options: dict, message: str) -> None:
    given = {"checkpoint": str(folder), "tokenizer": str(folder / "bert"), "device": "cpu"} | options
    with pytest.raises(UserError) as caught:
        ImageReward(**given).score(["a cat"], [image(0)])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.network
def test_published_scores(shared_data: Path) -> None:
    """The four values of the authors' README, with the real weights."""
    prompt = "a painting of an ocean with clouds and birds, day time, low depth field effect"
    images = [Image.open(shared_data / "imagereward" / f"{n}.webp").convert("RGB") for n in (1, 2, 3, 4)]
    published = [0.5811622738838196, 0.2745276093482971, -1.4131819009780884, -2.029569625854492]
    np.testing.assert_allclose(ImageReward().score([prompt] * 4, images), published, atol=1e-3)
