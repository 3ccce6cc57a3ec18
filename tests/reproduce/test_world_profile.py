"""The world profile: prompts that choose are never reported, and its numbers are those of the shipped world."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from tastemaker.cli.scorers import build
from tastemaker.reproduce import world_profile
from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.world.captions import caption, draw, parse, split_of

PROFILE = world_profile.profile()


def test_tune_and_test_prompts_are_disjoint():
    """And each is of its own split, which no training caption is in."""
    tune, test = PROFILE.tune(), PROFILE.test()
    assert (len(set(tune)), len(set(test))) == (world_profile.TUNE, world_profile.TEST) == (80, 200)
    assert not set(tune) & set(test)
    assert {split_of(parse(text)) for text in tune} == {"tune"}
    assert {split_of(parse(text)) for text in test} == {"test"}


def test_no_prompt_of_the_demo_is_tuned_or_tested_on():
    """By those the recipes' settings were chosen."""
    demo = {caption(scene) for split in ("tune", "test") for scene in draw(split, 300, 0)}
    assert not demo & {*PROFILE.tune(), *PROFILE.test()}


def test_prompts_are_the_same_at_every_call():
    assert PROFILE.test() == world_profile.profile().test()
    assert PROFILE.tune() == world_profile.profile().tune()


def test_no_training_prompt_is_tuned_or_tested_on():
    table = pq.read_table(PROFILE.data, columns=["caption"])
    trained = set(table["caption"].to_pylist())
    assert not trained & {*PROFILE.tune(), *PROFILE.test()}


def test_pairs_are_counted_as_shipped():
    """A tie is no pair: a run that reads as many reads each once."""
    labels = pq.read_table(PROFILE.data, columns=["label_0"])["label_0"].to_pylist()
    assert sum(label != 0.5 for label in labels) == PROFILE.pairs == world_profile.PAIRS


def test_scorers_exist_and_the_noisier_ones_are_others():
    ids = [build(spec).id for spec in PROFILE.rankers.values()]
    assert len(set(ids)) == len(ids)
    for judge in PROFILE.judges:
        assert build(judge.spec).id
    assert PROFILE.judge(PROFILE.chosen_by).spec == "world-utility"
    assert PROFILE.judge("correct").epsilon == 0


@pytest.mark.parametrize(
    ("arm", "pairs"),
    [
        (Arm("world"), 1920),
        (Arm("world", Pairs("best", "world", 0.3)), 1920),  # read again and again: the same number of steps
        (Arm("world", Pairs("all", passes=1)), 2956),
        (Arm("world", Pairs("best", "world", 0.5, 2)), 2956),
    ],
)
def test_budgets(arm, pairs):
    assert PROFILE.budget(arm) == pairs


def test_candidates_by_hand():
    """The strength is a field of the link, ten times less for the single-shot weight; SFT is tried at three rates."""
    rate = world_profile.RATE
    assert PROFILE.candidates(Arm("world")) == [{"beta": beta, "lr": rate} for beta in (30, 100, 300)]
    assert PROFILE.candidates(Arm("world", loss="kto")) == [{"beta": beta, "lr": rate} for beta in (50, 150, 500)]
    assert PROFILE.candidates(Arm("world", loss="orpo")) == [{"weight": weight, "lr": rate} for weight in (0.1, 0.3, 1)]
    assert PROFILE.candidates(Arm("world", loss="sft")) == [{"lr": lr} for lr in (1e-5, 3e-5, 1e-4)]
    assert PROFILE.candidates(Arm("world", credit="dde"))[0] == {"beta": 3, "lr": rate}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_and_credit_has_candidates(loss):
    for credit in CREDITS:
        found = PROFILE.candidates(Arm("world", Pairs(), loss, credit))
        assert len(found) == 3
        assert all(settings["lr"] > 0 for settings in found)


def test_shares_and_ranks_have_a_place_for_all_of_the_papers():
    assert [PROFILE.share(paper) for paper in (0.0533, 0.106, 0.16, 1.0)] == [0.3, 0.4, 0.5, 1.0]
    assert list(PROFILE.ranks) == [32, 64, 256]
    assert PROFILE.models["world"].rank in PROFILE.ranks.values()
