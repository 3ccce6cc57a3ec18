"""The verb ``reproduce``: which tables and figures, for which seeds; their cost; doing what is missing; the pages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import locked, write_json, write_text
from tastemaker.reproduce import dde, figures, grid, ledger, pages, qsd
from tastemaker.reproduce.exhibit import Curve, Grid, Table
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Cost, Stage, carry_out, costs, ordered

Exhibit = Table | Curve | Grid
HOUR = 3600


def exhibits(profile: Profile) -> dict[str, Exhibit]:
    """Everything that can be reproduced in ``profile``, by its key."""
    first = next(iter(profile.models))
    every: list[Exhibit] = [*qsd.tables(profile), *qsd.curves(profile), *dde.tables(profile), grid.grid(profile, first)]
    return {exhibit.key: exhibit for exhibit in every}


def reproduce(shop: Shop, only: Sequence[str], seeds: Sequence[int], dry_run: bool = False) -> dict[str, Any]:
    """Run what ``only`` names (all where it is empty) for ``seeds``, or say with ``dry_run`` what it would cost.

    Every stage is done once, whatever needs it; finished ones are left alone, so a stopped call goes on where it was.
    Pages are written of all that is finished, also by other calls. Raises `UserError` for a name that is none.
    """
    started, known = time.monotonic(), exhibits(shop.profile)
    if unknown := [name for name in only if name not in known]:
        raise UserError(f"--only {unknown[0]}: no such table or figure; there are {', '.join(known)}")
    chosen = [known[name] for name in only] or list(known.values())
    stages = ordered(stage for exhibit in chosen for stage in _stages(shop, exhibit, seeds))
    plan = {"devices": shop.profile.devices, **_costs(costs(stages))}
    if dry_run:
        return plan
    done = carry_out(stages)
    with locked(shop.out):
        written = tell(shop, list(known.values()))
    return {"stages": done, "pages": written, "out": str(shop.out), "seconds": time.monotonic() - started}


def tell(shop: Shop, some: Sequence[Exhibit]) -> list[str]:
    """Write page, pictures and ledger of what is finished of ``some``; their names."""
    results = Results(shop)
    shown = [exhibit for exhibit in some if any(results.seeds_of(arm) for arm in exhibit.arms)]
    parts = []
    for exhibit in shown:
        if isinstance(exhibit, Table):
            parts.append(pages.markdown(exhibit, results))
        else:
            picture = shop.out / f"{exhibit.key}.png"
            figures.draw(exhibit, results, picture)
            parts.append(f"### {exhibit.title}\n\n![{exhibit.title}]({picture.name})\n")
            parts += [pages.heat(exhibit, results)] if isinstance(exhibit, Grid) else []
    write_text(shop.out / "tables.md", "\n".join(parts))
    write_json(shop.out / "tables.json", [pages.figures_of(each, results) for each in shown if isinstance(each, Table)])
    ledger.write(results, [arm for exhibit in shown for arm in exhibit.arms], shop.out / ledger.NAME)
    pictures = [f"{exhibit.key}.png" for exhibit in shown if not isinstance(exhibit, Table)]
    return ["tables.md", "tables.json", ledger.NAME, *pictures]


def _stages(shop: Shop, exhibit: Exhibit, seeds: Sequence[int]) -> Iterator[Stage]:
    yield shop.base(exhibit.model)
    for seed in seeds:  # seed by seed: all of a table has one seed before some of it has two
        for arm in exhibit.arms:
            yield shop.curve(arm, seed) if isinstance(exhibit, Curve) else shop.scored(arm, seed)


def _costs(found: Sequence[Cost]) -> dict[str, Any]:
    rows = {
        each.kind: f"{each.stages} stages, {each.finished} finished, {each.seconds / HOUR:.2f} hours to go"
        for each in found
    }
    return rows | {"hours to go": round(sum(each.seconds for each in found) / HOUR, 2)}
