"""The verb ``reproduce``: which tables and figures, for which seeds; their cost; doing what is missing; the page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import locked, write_text
from tastemaker.reproduce import dde, grid, ledger, qsd
from tastemaker.reproduce.exhibit import Exhibit
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Cost, carry_out, costs, ordered

PAGE = "page.md"
HOUR = 3600


def exhibits(profile: Profile) -> list[Exhibit]:
    """Everything that can be reproduced in ``profile``."""
    first = next(iter(profile.models))
    return [*qsd.exhibits(profile), *dde.exhibits(profile), grid.grid(profile, first)]


def chosen(known: Sequence[Exhibit], only: Sequence[str]) -> list[Exhibit]:
    """Those that ``only`` names by key or paper, all where it is empty; raises `UserError` for a name that is none."""
    names = {exhibit.key for exhibit in known} | {exhibit.paper for exhibit in known}
    if unknown := [name for name in only if name not in names]:
        raise UserError(f"--only {unknown[0]}: no such table, figure or paper; there are {', '.join(sorted(names))}")
    return [exhibit for exhibit in known if not only or {exhibit.key, exhibit.paper} & set(only)]


def reproduce(shop: Shop, only: Sequence[str], seeds: Sequence[int], dry_run: bool = False) -> dict[str, Any]:
    """Run what ``only`` names (all where it is empty) for ``seeds``, or say with ``dry_run`` what it would cost.

    Every stage is done once, whatever needs it; finished ones are left alone, so a stopped call goes on where it was.
    The page is written of all that is finished, also by other calls. Raises `UserError` for a name that is none.
    """
    started, known = time.monotonic(), exhibits(shop.profile)
    stages = ordered(stage for exhibit in chosen(known, only) for stage in exhibit.stages(shop, seeds))
    if dry_run:
        return {"machine": shop.profile.devices, **_costs(costs(stages))}
    done = carry_out(stages)
    tell(shop, known)
    return {"stages": done, "page": shop.out / PAGE, "seconds": time.monotonic() - started}


def tell(shop: Shop, known: Sequence[Exhibit]) -> None:
    """Write the page, its pictures, and every score behind it, of what is finished."""
    results = Results(shop)
    with locked(shop.out):
        parts = [part for exhibit in known if (part := exhibit.write(results, shop.out))]
        write_text(shop.out / PAGE, "\n".join(parts))
        ledger.write(results, [arm for exhibit in known for arm in exhibit.arms], shop.out / ledger.NAME)


def _costs(found: Sequence[Cost]) -> dict[str, Any]:
    rows = {
        each.kind: f"{each.stages} stages, {each.finished} finished, {each.seconds / HOUR:.2f} hours to go"
        for each in found
    }
    return rows | {"hours to go": round(sum(each.seconds for each in found) / HOUR, 2)}
