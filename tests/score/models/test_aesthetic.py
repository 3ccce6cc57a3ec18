"""LAION aesthetics: the real head's published values, a stack by hand, what it shares with CLIP, mistakes."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from support.clip import DIM, SIDE, images, pixels_of, save_transformers
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file
from tastemaker.score.models.aesthetic import FILE, PUBLISHED, SHA256, Aesthetic, linear
from tastemaker.score.models.clip_score import ClipScore
from tastemaker.score.table import build
from tastemaker.score.transform import CentreCrop

WIDTHS = (DIM, 7, 5, 4, 3, 1)


def save_stack(folder: Path, widths: tuple[int, ...] = WIDTHS) -> tuple[Path, torch.nn.Sequential]:
    """As the authors save it: five linear maps, dropout between the first four."""
    torch.manual_seed(0)
    maps = [torch.nn.Linear(*pair) for pair in pairwise(widths)]
    for layer in maps:
        torch.nn.init.normal_(layer.weight, std=0.5)
    dropped = [torch.nn.Dropout() for _ in range(3)]
    stack = torch.nn.Sequential(maps[0], dropped[0], maps[1], dropped[1], maps[2], dropped[2], maps[3], maps[4])
    folder.mkdir(exist_ok=True)
    torch.save({f"layers.{name}": value for name, value in stack.state_dict().items()}, folder / FILE)
    return folder / FILE, stack.eval()


@pytest.fixture
def scorer(tmp_path: Path) -> Aesthetic:
    save_transformers(tmp_path / "clip")
    file, _ = save_stack(tmp_path)
    return Aesthetic(str(tmp_path / "clip"), str(file))


def test_the_real_head_at_three_points(shared_data: Path) -> None:
    """f(0), f(e_0) and f at 0, 1, …, 767 less their mean, scaled to length 1, as the original code gives them."""
    file = shared_data / "aesthetic" / "sac+logos+ava1-l14-linearMSE.pth"
    assert sha256_file(file) == SHA256
    ramp = np.arange(768) - 383.5
    points = np.stack([np.zeros(768), np.eye(768)[0], ramp / np.linalg.norm(ramp)]).astype(np.float32)
    found = Aesthetic(predictor=str(file)).head(points, None)
    assert found.tolist() == pytest.approx([5.236645698547363, 4.545052528381348, 4.215948581695557], abs=1e-6)
    weight, bias = linear(file)
    assert (np.linalg.norm(weight), bias) == (pytest.approx(17.9956, abs=5e-5), pytest.approx(5.2366, abs=5e-5))


def test_scores_are_the_stacks_of_the_unit_embedding(scorer: Aesthetic, tmp_path: Path) -> None:
    model, (_, stack) = save_transformers(tmp_path / "clip"), save_stack(tmp_path)
    pixels = torch.stack([pixels_of(image) for image in images(4)])
    with torch.no_grad():
        seen = torch.nn.functional.normalize(model.get_image_features(pixels).pooler_output)
        wanted = stack(seen)[:, 0]
    raw = scorer.score([""] * 4, images(4))
    assert raw.dtype == np.float32
    assert raw == pytest.approx(wanted.numpy(), abs=1e-5)
    assert raw.std() > 1e-3


def test_a_stack_by_hand(tmp_path: Path) -> None:
    """2x + 1, then twice doubled, then twice as it is: 8x + 4."""
    maps = {0: (2.0, 1.0), 2: (2.0, 0.0), 4: (2.0, 0.0), 6: (1.0, 0.0), 7: (1.0, 0.0)}
    state = {f"layers.{row}.weight": torch.tensor([[w]]) for row, (w, _) in maps.items()}
    state |= {f"layers.{row}.bias": torch.tensor([b]) for row, (_, b) in maps.items()}
    torch.save(state, tmp_path / "hand.pth")
    weight, bias = linear(tmp_path / "hand.pth")
    assert (weight.tolist(), bias) == ([8.0], 4.0)


def test_prompts_are_not_read_and_rows_not_mixed(scorer: Aesthetic) -> None:
    together = scorer.score(["a", "b", "c"], images(3))
    alone = [scorer.score([""], [image])[0] for image in images(3)]
    assert together == pytest.approx(alone, abs=1e-6)
    assert scorer.score([""] * 3, images(3)[::-1])[::-1] == pytest.approx(together, abs=1e-6)
    assert scorer.uses_prompt is False
    assert scorer.truncated(["a cat on a very long wall"] * 3) == 0


def test_its_trunk_is_that_of_clip_score(scorer: Aesthetic) -> None:
    assert scorer.trunk.id == ClipScore(scorer.checkpoint).trunk.id
    assert scorer.trunk.transform == CentreCrop(SIDE, "torchvision")


def test_clip_and_head_are_both_in_the_id(scorer: Aesthetic, tmp_path: Path) -> None:
    save_transformers(tmp_path / "other", seed=1)
    file, _ = save_stack(tmp_path / "wider", (DIM, 8, 5, 4, 3, 1))
    ids = {
        scorer.id,
        Aesthetic(str(tmp_path / "other"), scorer.predictor).id,
        Aesthetic(scorer.checkpoint, str(file)).id,
    }
    assert len(ids) == 3
    assert scorer.id.startswith("aesthetic@")
    assert Aesthetic(scorer.checkpoint, scorer.predictor, dtype="float16").id == scorer.id + "-float16"
    assert scorer.calibration == "range:0,10"
    assert build("aesthetic") == Aesthetic()


def test_pickles_before_and_after(scorer: Aesthetic) -> None:
    fresh = pickle.loads(pickle.dumps(scorer))
    raw = scorer.score([""], images(1))
    assert fresh.score([""], images(1)) == pickle.loads(pickle.dumps(scorer)).score([""], images(1)) == raw


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s.pop("layers.4.bias"), "layers.4.bias is missing or unexpected; give LAION's linear stack"),
        (lambda s: s.update({"layers.9.bias": torch.ones(1)}), "layers.9.bias is missing or unexpected"),
        (lambda s: s.update({"layers.2.weight": torch.ones(5, 6)}), "its shapes do not follow one another"),
        (
            lambda s: s.update({"layers.7.weight": torch.ones(2, 3), "layers.7.bias": torch.ones(2)}),
            "its shapes do not",
        ),
    ],
)
def test_another_head_is_refused(tmp_path: Path, edit, message: str) -> None:
    file, _ = save_stack(tmp_path)
    state = torch.load(file, weights_only=True)
    edit(state)
    torch.save(state, tmp_path / "edited.pth")
    with pytest.raises(UserError) as caught:
        linear(tmp_path / "edited.pth")
    assert str(caught.value).startswith(f"aesthetic: {tmp_path / 'edited.pth'}: {message}")


def test_a_head_for_another_clip_is_refused(scorer: Aesthetic, tmp_path: Path) -> None:
    file, _ = save_stack(tmp_path / "narrow", (DIM - 1, *WIDTHS[1:]))
    with pytest.raises(
        UserError, match=r"reads 9 numbers an image, the CLIP gives 10; it belongs to another checkpoint"
    ):
        Aesthetic(scorer.checkpoint, str(file)).score([""], images(1))


def test_what_the_hub_gives_must_be_the_authors_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = save_stack(tmp_path)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(file))
    with pytest.raises(UserError, match=r"not the authors' weights; give their .pth with predictor=FILE"):
        Aesthetic().head(np.zeros((1, DIM), np.float32), None)


@pytest.mark.network
def test_the_hubs_copy_is_the_authors_file(shared_data: Path) -> None:
    from huggingface_hub import hf_hub_download

    assert sha256_file(Path(hf_hub_download(PUBLISHED, FILE))) == SHA256
