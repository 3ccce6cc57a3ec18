"""One table that nobody has: all losses × all credits × {all pairs, the best, as many at random}."""

from __future__ import annotations

from collections.abc import Iterator

from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.qsd import TOP, best

GRID_CREDITS = tuple(name for name in CREDITS if not name.startswith("slice-"))


def sets(profile: Profile) -> dict[str, Pairs]:
    """The three sets of pairs, by what they are called in the heat map."""
    share = profile.share(TOP)
    return {"all": Pairs(), "QSD": best(profile), "random": Pairs("random", share=share)}


def arms(profile: Profile, model: str) -> Iterator[Arm]:
    """Every combination that has a meaning (`possible`)."""
    for pairs in sets(profile).values():
        for loss in LOSSES:
            yield from (arm for name in GRID_CREDITS if possible(arm := Arm(model, pairs, loss, name)))


def possible(arm: Arm) -> bool:
    """Whether a method of this loss and credit exists; those that do not are refused by `Method` itself."""
    from pydantic import ValidationError

    from tastemaker.method.method import Method

    try:
        Method.model_validate(arm.method({}))
    except ValidationError:
        return False
    return True
