"""The verb ``reproduce``: which tables and figures, for which seeds; their cost; doing what is missing; the page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.reproduce import contenders, d3po, dde, grid, ledger, mark, needed, page, qsd
from tastemaker.reproduce.exhibit import Exhibit, Missing
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage, awaited, carry_out, costs, ordered

HOUR, GIGABYTE = 3600, 1e9


def exhibits(profile: Profile) -> list[Exhibit]:
    """Everything that can be reproduced in ``profile``."""
    first = next(iter(profile.models))
    papers = [*qsd.exhibits(profile.of("qsd")), *dde.exhibits(profile.of("dde")), *d3po.exhibits(profile)]
    whole = grid.grid(profile, first)
    return [*papers, whole, contenders.Contenders(whole)]


def chosen(known: Sequence[Exhibit], only: Sequence[str]) -> list[Exhibit]:
    """Those that ``only`` names by key, by its beginning (``table1`` is ``table1-sd15``, too) or by paper; none is all.

    Raises `UserError` for a name that is none, and where nothing that is named can be made.
    """
    names = {name for exhibit in known for name in _names(exhibit)}
    if unknown := [name for name in only if name not in names]:
        raise UserError(f"--only {unknown[0]}: no such table, figure or paper; there are {', '.join(sorted(names))}")
    found = [exhibit for exhibit in known if not only or _names(exhibit) & set(only)]
    if all(isinstance(exhibit, Missing) for exhibit in found):
        raise UserError(f"--only {only[0]}: {found[0].needs}")  # type: ignore[attr-defined]
    return found


def _names(exhibit: Exhibit) -> set[str]:
    return {exhibit.key, exhibit.key.partition("-")[0], exhibit.paper}


def reproduce(shop: Shop, only: Sequence[str], seeds: Sequence[int], dry_run: bool = False) -> dict[str, Any]:
    """Run what ``only`` names (all where it is empty) for ``seeds``, or say with ``dry_run`` what it would cost.

    Every stage is done once, whatever needs it; finished ones are left alone, so a stopped call goes on where it was,
    and several processes may work in one folder (`stage.carry_out`). The page is written of all that is finished, also
    by other calls. Raises `UserError` for a name that is none, where the folder holds results of something else, and
    before anything is written for weights that are not there.
    """
    started, known = time.monotonic(), exhibits(shop.profile)
    wanted = chosen(known, only)
    mark.check(shop)
    if dry_run:
        return prices(shop, wanted, seeds)
    needed.find(shop, _stages(shop, wanted, seeds))
    with awaited(shop.out):
        mark.leave(shop)
    done = 0
    while left := [stage for stage in _stages(shop, wanted, seeds) if not stage.done]:  # a screen says what comes next
        done += carry_out(left)
    tell(shop, known)
    return {"stages": done, "page": shop.out / page.FOLDER / page.NAME, "seconds": time.monotonic() - started}


def retell(shop: Shop) -> dict[str, Any]:
    """Write the page of what is finished in a folder, and do nothing else.

    Raises `UserError` where nothing has begun, and where the folder holds results of something else.
    """
    if not (shop.out / mark.NAME).is_file():
        raise UserError(f"--out {shop.out}: nothing has run here yet; leave out --page-only")
    mark.check(shop)
    tell(shop, exhibits(shop.profile))
    return {"page": shop.out / page.FOLDER / page.NAME}


def announce(shop: Shop, only: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """What is left to do of the whole and what the figures rest on: what one should see before it begins."""
    said = prices(shop, chosen(exhibits(shop.profile), only), seeds)
    return {name: value for name, value in said.items() if name not in ("exhibits", "kinds")}


def tell(shop: Shop, known: Sequence[Exhibit]) -> None:
    """Write the page, its pictures, and every score behind it, of what is finished."""
    results = Results(shop)
    with awaited(shop.out):
        page.write(results, known, shop.out / page.FOLDER)
        ledger.write(results, [arm for exhibit in known for arm in exhibit.arms], shop.out / page.FOLDER / ledger.NAME)


def prices(shop: Shop, wanted: Sequence[Exhibit], seeds: Sequence[int]) -> dict[str, Any]:
    """Stages, hours and disk space of each exhibit alone, of each kind of stage, and of all with shared stages once."""
    stages = _stages(shop, wanted, seeds)
    alone = {exhibit.key: _price(_stages(shop, [exhibit], seeds)) for exhibit in wanted}
    kinds = {
        each.kind: f"{each.stages} stages, {each.finished} finished, {_hours(each.seconds)} to go"
        for each in costs(stages)
    }
    whole = {"in all": f"{_price(stages)} (what exhibits share counted once)"}
    return {"machine": shop.profile.devices, "exhibits": alone, "kinds": kinds, **whole, **shop.profile.basis}


def _stages(shop: Shop, wanted: Iterable[Exhibit], seeds: Sequence[int]) -> list[Stage]:
    return ordered(stage for exhibit in wanted for stage in exhibit.stages(shop, seeds))


def _price(stages: Sequence[Stage]) -> str:
    """Of these stages: how many, how many are finished, and hours and disk space of the rest."""
    left = [stage for stage in stages if not stage.done]
    counted = any(stage.space for stage in stages)
    space = f", {sum(stage.space for stage in left) / GIGABYTE:,.1f} GB" if counted else ""
    hours = _hours(sum(stage.seconds for stage in left))
    return f"{len(stages)} stages, {len(stages) - len(left)} finished, {hours}{space} to go"


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR:,.2f} hours"
