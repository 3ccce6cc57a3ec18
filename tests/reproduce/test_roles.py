"""Judges that ranked, tuned or chose are told from those that only report."""

from __future__ import annotations

from dataclasses import replace

from tastemaker.reproduce import qsd
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.roles import note, roles
from tastemaker.reproduce.world_profile import profile

BEST, NOISY = Arm("world", Pairs("best", "world", 0.3)), Arm("world", Pairs("best", "noise8", 0.3))


def test_in_the_world():
    """Utility chooses for every arm; the scorer ranks where its own Q does, not where that of a noisier one does."""
    chose = "chose settings and checkpoints on other prompts"
    assert roles(profile(), [Arm("world")]) == {"utility": chose}
    assert roles(profile(), [Arm("world", Pairs("random", share=0.3)), NOISY]) == {"utility": chose}
    assert roles(profile(), [Arm("world"), BEST]) == {"utility": chose, "scorer": "ranked pairs"}


def test_one_that_does_both_and_a_profile_that_tunes_nothing():
    told = replace(profile(), chosen_by="scorer", faster=None)
    assert roles(told, [BEST]) == {"scorer": "chose checkpoints on other prompts and ranked pairs"}


def test_the_note():
    """The truth is told as such where it had a say."""
    world = profile()
    assert note(world, {}) == ""
    assert note(world, {"scorer": "ranked pairs"}) == "† scorer ranked pairs."
    assert note(world, {"utility": "chose"}) == (
        "† utility chose; utility is the truth of the small world, an oracle that the papers do not have."
    )


def test_every_table_of_pairs_has_them():
    for table in qsd.tables(profile()):
        assert set(roles(profile(), table.arms)) == {"utility", "scorer"}
