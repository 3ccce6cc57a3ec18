"""Names say all and are unique; every arm of every exhibit is a valid recipe."""

from __future__ import annotations

import itertools

import pytest

from support.reproduced import by_hand
from tastemaker.reproduce import choosing, reproduce, world_profile
from tastemaker.reproduce.arm import CREDITS, LOSSES, SLICES, Arm, Pairs
from tastemaker.reproduce.grid import possible
from tastemaker.reproduce.profile import Profile


def every_arm(profile: Profile) -> list[Arm]:
    """Of every exhibit, each once."""
    return list(dict.fromkeys(arm for exhibit in reproduce.exhibits(profile) for arm in exhibit.arms))


def test_names_by_hand():
    assert Arm("world").name == "world-dpo-uniform-all"
    best = Arm("sd15", Pairs("best", "hpsv2:x=1", 0.0533, 1), "ipo", "dde", 32)
    assert best.name == "sd15-ipo-dde-r32-best-hpsv2_x_1-5.33%-x1"
    assert Pairs("random", share=0.3).name == "random-30%"


def test_names_are_unique_and_say_all():
    """Whatever of an arm changes, the name changes."""
    pairs = [Pairs(), Pairs(passes=1), Pairs("random", share=0.3), Pairs("random", share=0.4)]
    pairs += [Pairs("best", scorer, share) for scorer in ("world", "noise2") for share in (0.3, 0.0533, 0.05331)]
    choices = (("world", "sd15"), pairs, LOSSES, CREDITS, (None, 8, 64))
    arms = [Arm(*each) for each in itertools.product(*choices)]
    assert len({arm.name for arm in arms}) == len(arms)


def test_names_are_names_of_folders():
    for arm in every_arm(world_profile.profile()):
        assert "/" not in arm.name
        assert len(arm.name.encode()) < 120


def test_arms_of_exhibits_have_unique_names():
    arms = every_arm(world_profile.profile())
    assert len({arm.name for arm in arms}) == len(arms) > 100


def test_methods_by_hand():
    assert Arm("w").method({"beta": 5.0}) == {"link": {"kind": "logistic", "beta": 5.0}, "credit": {}}
    made = Arm("w", Pairs(), "slic", "dde").method({})
    assert made == {
        "link": {"kind": "hinge"},
        "credit": {"weight": {"kind": "single-shot"}, "correction": {"kind": "stepwise"}},
    }
    assert LOSSES["slic"] == {"kind": "hinge"}  # the table itself stays as it was


def test_slices_are_the_papers_tenths():
    for low, high in SLICES:
        assert CREDITS[f"slice-{low:.1f}-{high:.1f}"] == {"when": {"kind": "range", "low": low, "high": high}}
        assert high - low == pytest.approx(0.1)
    assert [low for low, _ in SLICES] == [0.0, 0.3, 0.5, 0.7, 0.9]


@pytest.mark.parametrize(
    ("credit", "scale"),
    [
        ("uniform", "constant"),
        ("discounted", "discounted"),
        ("discounted-sampling", "constant"),
        ("dde", "single-shot"),
        ("dde-single", "single-shot"),
        ("dde-step", "constant"),
        ("min-snr", "min-snr"),
        ("slice-0.0-0.1", "constant"),
    ],
)
def test_scales(credit, scale):
    assert Arm("w", loss="kto", credit=credit).scale == ("kto", scale)


def test_every_arm_of_every_exhibit_is_a_valid_recipe_with_every_candidate(tmp_path, monkeypatch):
    """And so is the arm by which its settings are tuned."""
    shop, read = by_hand(tmp_path), [None] * 100
    monkeypatch.setattr("tastemaker.rank.pairs.read_pairs", lambda _: read)
    arms = every_arm(shop.profile)
    for arm in dict.fromkeys([*arms, *map(choosing.settled_by, arms)]):
        assert possible(arm)
        for settings in shop.profile.candidates(arm):
            recipe = shop.recipe(arm, 3, settings, tmp_path / "run")
            assert recipe.train.seed == 3
            assert recipe.train.lr == settings["lr"]
            assert recipe.adapter.rank == (arm.rank or 16)
            assert recipe.data.order == ("sorted" if arm.pairs.kind == "best" else "random")
            for name, value in settings.items():
                assert name == "lr" or getattr(recipe.method.link, name) == value


def test_arms_that_share_a_scale_share_their_settings(tmp_path):
    shop = by_hand(tmp_path)
    assert shop.tuned(Arm("world", credit="dde")).out == shop.tuned(Arm("world", credit="dde-single")).out
    assert shop.tuned(Arm("world", credit="range-200-700")).out == shop.tuned(Arm("world")).out
    assert shop.tuned(Arm("world", rank=8)).out == shop.tuned(Arm("world")).out
    drawn, best = Pairs("random", share=0.3), Pairs("best", "noise8", 0.3)
    assert shop.tuned(Arm("world", drawn)).out == shop.tuned(Arm("world", best)).out == shop.tuned(Arm("world")).out
    assert shop.tuned(Arm("world", loss="ipo")).out != shop.tuned(Arm("world")).out
    assert set(choosing.SAME_SCALE.values()) <= set(CREDITS)
