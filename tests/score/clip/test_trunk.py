"""The CLIP trunk: independence of rows, identity, sharing, pickling, silence."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.clip import PROMPTS, SIDE, images, save_open_clip, save_tokenizer, save_transformers
from tastemaker.base.errors import UserError
from tastemaker.score.clip import weights
from tastemaker.score.clip.text import ClipText
from tastemaker.score.clip.trunk import ClipTrunk
from tastemaker.score.clip.weights import TransformersFolder
from tastemaker.score.scorer import transformed
from tastemaker.score.transform import CentreCrop, PadToSquare


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clip")
    save_transformers(place)
    return place


def trunk_of(folder: Path, **changes: object) -> ClipTrunk:
    trunk = ClipTrunk("s", TransformersFolder("s", str(folder)), ClipText("s", str(folder)), CentreCrop(SIDE))
    return replace(trunk, **changes)


def pixels(count: int) -> np.ndarray:
    return transformed(CentreCrop(SIDE), images(count))


def test_embeddings_are_float32_of_length_1(folder: Path) -> None:
    trunk = trunk_of(folder)
    for found in (trunk.images(pixels(4)), trunk.prompts(PROMPTS)):
        assert found.dtype == np.float32
        assert found.shape == (4, 10)
        assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_row_does_not_depend_on_its_batch(folder: Path) -> None:
    """Alone, among others, in another order; a short prompt beside a long one."""
    trunk, seen = trunk_of(folder), pixels(4)
    together, read = trunk.images(seen), trunk.prompts(PROMPTS)
    alone = np.concatenate([trunk.images(seen[row : row + 1]) for row in range(4)])
    one_by_one = np.concatenate([trunk.prompts([prompt]) for prompt in PROMPTS])
    assert together == pytest.approx(alone, abs=1e-6)
    assert read == pytest.approx(one_by_one, abs=1e-6)
    assert trunk.images(seen[::-1].copy())[::-1] == pytest.approx(together, abs=1e-6)
    assert trunk.prompts(PROMPTS[::-1])[::-1] == pytest.approx(read, abs=1e-6)


def test_equal_prompts_have_equal_rows_in_their_places(folder: Path) -> None:
    trunk = trunk_of(folder)
    once = trunk.prompts(["a cat", "x"])
    assert trunk.prompts(["x", "a cat", "x"]) == pytest.approx(once[[1, 0, 1]], abs=1e-6)
    assert abs(once[0] - once[1]).max() > 0.01


def test_everything_that_changes_embeddings_changes_the_id(folder: Path, tmp_path: Path) -> None:
    save_transformers(tmp_path / "other", seed=1)
    (save_tokenizer(tmp_path / "tables") / "merges.txt").write_text("#version: 0.2\nc a\n")
    same = trunk_of(folder)
    others = [
        trunk_of(tmp_path / "other"),
        trunk_of(folder, text=ClipText("s", str(tmp_path / "tables"))),
        trunk_of(folder, text=ClipText("s", str(folder), cleaned=False)),
        trunk_of(folder, transform=CentreCrop(SIDE, "torchvision")),
        trunk_of(folder, transform=PadToSquare(SIDE)),
        trunk_of(folder, dtype="bfloat16"),
    ]
    assert len({trunk.id for trunk in [same, *others]}) == 1 + len(others)
    assert same.id == f"clip-{same.revision}-crop8-hf-clean-float32"
    assert trunk_of(folder, scorer="another", device="cpu").id == same.id


def test_a_copy_elsewhere_has_the_same_id(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("not read")
    assert trunk_of(tmp_path / "copy").id == trunk_of(folder).id


def test_two_trunks_of_one_id_read_the_weights_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, original = [], weights.read_tensors
    monkeypatch.setattr(weights, "read_tensors", lambda *a: read.append(a[1]) or original(*a))
    shutil.copytree(folder, tmp_path / "copy")
    one, other = trunk_of(folder, scorer="one"), trunk_of(tmp_path / "copy", scorer="other")
    assert (one.images(pixels(2)) == other.images(pixels(2))).all()
    assert len(read) == 1
    trunk_of(folder, dtype="bfloat16").images(pixels(1))
    assert len(read) == 2
    del one, other
    trunk_of(folder).images(pixels(1))  # nobody held it any more
    assert len(read) == 3


def test_pickles_before_and_after_without_the_weights(folder: Path) -> None:
    trunk = trunk_of(folder)
    before = pickle.dumps(trunk)
    found = trunk.images(pixels(2))
    after = pickle.dumps(trunk)
    assert len(before) < 1000 < len(after) + 500
    assert len(after) < 2000
    for data in (before, after):
        again = pickle.loads(data)
        assert again == trunk
        assert (again.images(pixels(2)) == found).all()


def test_half_precision_is_near_and_another(folder: Path) -> None:
    full, half = trunk_of(folder), trunk_of(folder, dtype="bfloat16")
    difference = abs(half.images(pixels(3)) - full.images(pixels(3))).max()
    assert 1e-5 < difference < 0.1
    assert half.images(pixels(1)).dtype == np.float32
    assert (full.suffix, half.suffix) == ("", "-bfloat16")


def test_prompts_that_lose_their_end_are_counted(folder: Path) -> None:
    """Twelve places: "a cat on a very long wall" has 18 letters and a "cat"."""
    trunk = trunk_of(folder)
    assert trunk.truncated(PROMPTS) == 1
    assert trunk.truncated([]) == 0


def test_mistakes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="s: dtype=int8: say float32, float16, bfloat16"):
        trunk_of(folder, dtype="int8")
    with pytest.raises(UserError, match="s: device=gpu: not to be had here; give auto, cpu or cuda:0"):
        trunk_of(folder, device="gpu").images(pixels(1))
    tables = save_tokenizer(tmp_path)
    text = (tables / "vocab.json").read_text()
    (tables / "vocab.json").write_text(text.replace("{", '{"more": 60, "and": 61, '))
    with pytest.raises(UserError, match=r"s: tokenizer .*: 64 tokens for a model of 62; give the model's own"):
        trunk_of(folder, text=ClipText("s", str(tables))).prompts(["a"])


SCRIPT = """
import sys
from tastemaker.score.table import build
scorers = [build(spec) for spec in sys.argv[1:]]
heavy = [name for name in ("torch", "transformers", "numpy", "PIL", "ftfy", "huggingface_hub") if name in sys.modules]
assert not heavy, heavy
import logging
from PIL import Image
for scorer in scorers:
    scorer.score(["a cat"], [Image.new("RGB", (8, 8))])
    scorer.truncated(["a cat on a very long wall"])
"""


def test_building_loads_nothing_and_scoring_says_nothing(tmp_path: Path) -> None:
    """In a process of its own: no library before the first score, no bar or warning then, not even of old weights."""
    save_open_clip(tmp_path / "hps", "HPS_v2.1_compressed.pt")
    save_transformers(tmp_path / "old", old=True)
    specs = [
        f"hpsv2.1:checkpoint={tmp_path}/hps,tokenizer={tmp_path}/hps,config={tmp_path}/hps/config.json",
        f"pickscore:checkpoint={tmp_path}/old,tokenizer={tmp_path}/old",
        f"clip:checkpoint={tmp_path}/old",
    ]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *specs], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
