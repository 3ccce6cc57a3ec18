"""HPSv2 in its authors' layout against plain torch; ids, options, mistakes, and the published value."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.clip import PROMPTS, SIDE, image_features, images, pixels_of, save_open_clip, text_features, tokens_of
from tastemaker.base.errors import UserError
from tastemaker.score.models.hpsv2 import HPSv2, HPSv21
from tastemaker.score.table import build
from tastemaker.score.transform import PadToSquare


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    for name in ("HPS_v2_compressed.pt", "HPS_v2.1_compressed.pt"):
        save_open_clip(tmp_path, name, seed=len(name))
    return {"checkpoint": str(tmp_path), "tokenizer": str(tmp_path), "config": str(tmp_path / "config.json")}


@pytest.mark.parametrize(("cls", "file"), [(HPSv2, "HPS_v2_compressed.pt"), (HPSv21, "HPS_v2.1_compressed.pt")])
def test_scores_are_the_cosines_of_plain_torch(options: dict[str, str], cls: type[HPSv2], file: str) -> None:
    state = save_open_clip(Path(options["checkpoint"]), file, seed=len(file))
    seen = image_features(state, torch.stack([pixels_of(image) for image in images(4)]))
    read = text_features(state, torch.tensor([tokens_of(prompt) for prompt in PROMPTS]))
    raw = cls(**options).score(PROMPTS, images(4))
    assert raw.dtype == np.float32
    assert raw == pytest.approx((seen * read).sum(-1).numpy(), abs=1e-5)
    assert raw.std() > 0.01


def test_a_score_does_not_depend_on_its_batch(options: dict[str, str]) -> None:
    scorer = HPSv21(**options)
    shapes = [images(1, size)[0] for size in ((8, 8), (30, 11), (9, 40), (64, 64))]
    together = scorer.score(PROMPTS, shapes)
    alone = [scorer.score([prompt], [image])[0] for prompt, image in zip(PROMPTS, shapes, strict=True)]
    assert together == pytest.approx(alone, abs=1e-6)
    assert scorer.score(PROMPTS[::-1], shapes[::-1])[::-1] == pytest.approx(together, abs=1e-6)


def test_prompts_are_cleaned(options: dict[str, str]) -> None:
    one, other = HPSv2(**options).score(["a&amp;b  c", "a&b c"], [images(1)[0]] * 2)
    assert one == other


def test_ids(options: dict[str, str]) -> None:
    two, one = HPSv2(**options), HPSv21(**options)
    assert two.id == f"hpsv2@{two.trunk.revision}"
    assert one.id == f"hpsv2.1@{one.trunk.revision}"
    assert one.trunk.revision != two.trunk.revision
    assert HPSv2(**options, antialias=False).id == two.id + "-aliased"
    assert HPSv2(**options, dtype="float16").id == two.id + "-float16"
    assert HPSv2(**options, device="cpu").id == two.id
    assert (two.calibration, two.uses_prompt) == ("identity", True)


def test_antialias_is_the_transforms(options: dict[str, str]) -> None:
    assert HPSv2(**options).trunk.transform == PadToSquare(SIDE, antialias=True)
    assert HPSv2(**options, antialias=False).trunk.transform == PadToSquare(SIDE, antialias=False)
    assert HPSv2(tokenizer=options["tokenizer"]).trunk.transform == PadToSquare(224)


def test_made_by_name_with_its_options(options: dict[str, str]) -> None:
    said = ",".join(f"{key}={value}" for key, value in options.items())
    assert build(f"hpsv2:{said},antialias=false") == HPSv2(**options, antialias=False)
    assert build("hpsv2.1") == HPSv21()
    assert build("hpsv2.1") != HPSv2()
    with pytest.raises(UserError, match="scorer 'hpsv2': dtype=half"):
        build("hpsv2:dtype=half")


def test_pickles_before_and_after(options: dict[str, str]) -> None:
    scorer = HPSv21(**options)
    fresh = pickle.loads(pickle.dumps(scorer))
    raw = scorer.score(["a cat"], images(1))
    used = pickle.loads(pickle.dumps(scorer))
    assert fresh == used == scorer
    assert fresh.score(["a cat"], images(1)) == used.score(["a cat"], images(1)) == raw


def test_truncated_prompts_are_counted(options: dict[str, str]) -> None:
    assert HPSv2(**options).truncated(PROMPTS) == 1


def test_mistakes_name_the_scorer_and_the_file(options: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "HPS_v2.1_compressed.pt").unlink()
    with pytest.raises(UserError, match=r"hpsv2.1: .* has no HPS_v2.1_compressed.pt"):
        print(HPSv21(**options).id)
    with pytest.raises(UserError, match=r"hpsv2: owner/nothing: no such file or folder"):
        HPSv2(**options | {"checkpoint": "owner/nothing"}).score(["a"], images(1))


@pytest.mark.network
def test_the_published_value(shared_data: Path) -> None:
    """tgxs002/HPSv2, issue 30: 0.288 for the demo image and "cat with horn"."""
    image = Image.open(shared_data / "hpsv2" / "demo_image.jpg").convert("RGB")
    assert HPSv21().score(["cat with horn"], [image])[0] == pytest.approx(0.288, abs=5e-4)
