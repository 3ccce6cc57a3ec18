"""One table that nobody has: all losses × all credits × {all pairs, the best, as many at random}."""

from __future__ import annotations

from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.reproduce.exhibit import Grid
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.qsd import TOP, best

GRID_CREDITS = tuple(name for name in CREDITS if not name.startswith("slice-"))


def sets(profile: Profile) -> dict[str, Pairs]:
    """The three sets of pairs, by what they are called in the heat map."""
    share = profile.share(TOP)
    return {"all": Pairs(), "QSD": best(profile), "random": Pairs("random", share=share)}


def grid(profile: Profile, model: str) -> Grid:
    """Every combination that has a meaning (`possible`)."""
    found = sets(profile)
    cells = {
        (name, loss, credit): arm
        for name, pairs in found.items()
        for loss in LOSSES
        for credit in GRID_CREDITS
        if possible(arm := Arm(model, pairs, loss, credit))
    }
    title = f"All losses × all credits × all, best and random pairs ({model})"
    return Grid("grid", title, model, tuple(found), tuple(LOSSES), GRID_CREDITS, cells)


def possible(arm: Arm) -> bool:
    """Whether a method of this loss and credit exists; those that do not are refused by `Method` itself."""
    from pydantic import ValidationError

    from tastemaker.method.method import Method

    try:
        Method.model_validate(arm.method({}))
    except ValidationError:
        return False
    return True
