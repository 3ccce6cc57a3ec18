"""Which judges had a say in what is reported: those that ranked pairs, and the one that tuned and chose."""

from __future__ import annotations

from collections.abc import Iterable

from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.profile import Profile

MARK = "†"
TRUTHS = "world-"
"""How the specs of what the small world knows of its pictures begin; `world` itself is its scorer."""


def roles(profile: Profile, arms: Iterable[Arm]) -> dict[str, str]:
    """Judge → what else it did for these arms; judges that only report are left out."""
    ranked = {profile.rankers[arm.pairs.scorer] for arm in arms if arm.pairs.kind == "best"}
    tuned = "" if profile.faster is None else "settings and "
    found = {}
    for judge in profile.judges:
        did = [f"chose {tuned}checkpoints on other prompts"] if judge.name == profile.chosen_by else []
        did += ["ranked pairs"] if judge.spec in ranked else []
        if did:
            found[judge.name] = " and ".join(did)
    return found


def note(profile: Profile, found: dict[str, str]) -> str:
    """What the marks mean; empty where there are none."""
    said = [f"{name} {did}" for name, did in found.items()]
    truths = [judge.name for judge in profile.judges if judge.spec.startswith(TRUTHS) and judge.name in found]
    said += [f"{name} is the truth of the small world, an oracle that the papers do not have" for name in truths]
    return f"{MARK} {'; '.join(said)}." if said else ""
