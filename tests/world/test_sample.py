import collections

import numpy as np
import pyarrow.parquet as pq
import pytest

from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data
from tastemaker.data.store import read_comparisons
from tastemaker.rollout.simulated import Judging
from tastemaker.world import models, pretrain
from tastemaker.world.sample import PARQUET, TRUTH, sample


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrained") / "model"
    pretrain.save(models.stable_diffusion(0), folder)
    return folder


def test_the_judge_follows_bradley_and_terry_and_then_errs():
    """Δu = 0.1, τ = 0.1: σ(1) = 0.731; a fifth turned round: 0.731·0.8 + 0.269·0.2 = 0.639."""
    judging = Judging(temperature=0.1, flips=0.2)
    labels = [judging.label((0.6, 0.5), "test", i) for i in range(4000)]
    assert np.mean(labels) == pytest.approx(0.639, abs=0.025)
    assert judging.label((0.6, 0.5), "k") == judging.label((0.6, 0.5), "k")


def test_a_judge_without_error_is_always_right_and_equal_images_tie():
    judging = Judging(temperature=1e-4, flips=0.0, tie=0.01)
    assert {judging.label((0.6, 0.5), i) for i in range(50)} == {1.0}
    assert {judging.label((0.5, 0.6), i) for i in range(50)} == {0.0}
    assert judging.label((0.505, 0.5), 0) == 0.5


@pytest.mark.parametrize("bad", [{"temperature": 0.0}, {"flips": 1.5}, {"tie": -1.0}])
def test_impossible_judges_are_refused(bad):
    with pytest.raises(UserError, match="temperature must be above 0"):
        Judging(**bad)


def test_comparisons_are_pick_a_pic_and_import_without_loss(untrained, tmp_path):
    done = sample(tmp_path / "a", model=untrained, pairs=6, steps=2, judging=Judging(tie=0.0))
    assert done["pairs"] == 6
    shown, truth = (pq.read_table(tmp_path / "a" / name).to_pylist() for name in (PARQUET, TRUTH))
    assert not {"utility_0", "wrong", "image_0"} & set(shown[0])  # nothing of the truth is where training reads
    for row, known in zip(shown, truth, strict=True):
        assert row["ranking_id"] == known["ranking_id"]
        assert known["wrong"] == ((row["label_0"] == 1.0) != (known["utility_0"] > known["utility_1"]))
    import_data(str(tmp_path / "a" / "pickapic"), tmp_path / "data")
    known = {frozenset((row["image_0"], row["image_1"])) for row in truth}
    imported = read_comparisons(tmp_path / "data")
    assert {frozenset((c.image_a, c.image_b)) for c in imported} == known
    assert collections.Counter(c.label for c in imported) == collections.Counter(
        "a" if row["label_0"] == 1.0 else "b" for row in shown
    )


def test_the_same_seed_gives_the_same_bytes_and_a_finished_folder_is_left_alone(untrained, tmp_path):
    first = sample(tmp_path / "a", model=untrained, pairs=3, steps=1)
    sample(tmp_path / "b", model=untrained, pairs=3, steps=1)
    for name in (PARQUET, TRUTH):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sample(tmp_path / "a", model=untrained, pairs=3, steps=1) == first
    with pytest.raises(UserError, match="choose another --out or remove it"):
        sample(tmp_path / "a", model=untrained, pairs=4, steps=1)
