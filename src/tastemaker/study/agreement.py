"""How far raters agree: raw agreement, Krippendorff's α and Fleiss' κ, with bootstrap intervals over items.

Legend: ``count_uc`` [u, c] how many raters gave unit u the value c; raters may be missing. ``item_u`` names the item of
each unit: intervals resample items. With two values of which one is rare, α and κ are low even where raters nearly
always agree (the paradox of Feinstein & Cicchetti 1990), so raw agreement stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.evaluate.winrate import Interval
from tastemaker.study.resample import Bootstrap, Floats, by_cluster, divide, ratio
from tastemaker.study.units import Table, places, tabulate
from tastemaker.study.vote import Item, Vote

Squares = Callable[[Floats], Floats]
"""From how often each value occurs [r, c] to the squared differences between values [r, c, c] (or [c, c])."""


@dataclass(frozen=True)
class Agreement:
    """How far the raters of one question agree; NaN where a figure is not defined (nothing varies, or no two answers).

    ``fleiss`` speaks of the ``fleiss_units`` units that have the commonest number of raters, ``fleiss_raters``.
    ``ordinal`` is α on the ranks of images, None where nothing is ranked.
    """

    units: int
    raw: Interval
    alpha: Interval
    fleiss: Interval
    fleiss_units: int
    fleiss_raters: int
    ordinal: Interval | None = None


def agreement(
    items: Mapping[int, Item], votes: Sequence[Vote], flags: Sequence[str] = (), bootstrap: Bootstrap | None = None
) -> Agreement:
    """The agreement of the last votes on one question; ``flags`` are all that could have been named."""
    bootstrap = bootstrap or Bootstrap()
    item_u, count_uc = counts(tabulate(items, votes, flags))
    raters, usual = commonest(count_uc)
    return Agreement(
        units=int((count_uc.sum(1) > 1).sum()),
        raw=raw(item_u, count_uc, bootstrap),
        alpha=alpha(item_u, count_uc, bootstrap=bootstrap),
        fleiss=fleiss([item for item, use in zip(item_u, usual, strict=True) if use], count_uc[usual], bootstrap),
        fleiss_units=int(usual.sum()),
        fleiss_raters=raters,
        ordinal=_of_ranks(items, votes, bootstrap),
    )


def counts(table: Table, values: Sequence[Any] | None = None) -> tuple[list[int], Floats]:
    """The item of each unit, and ``count_uc``; ``values`` are the columns (those found, unless given)."""
    found = values or sorted({said for answers in table.values() for said in answers.values()}, key=repr)
    column = {value: number for number, value in enumerate(found)}
    count_uc = np.zeros((len(table), len(found)))
    for row, answers in zip(count_uc, table.values(), strict=True):
        np.add.at(row, [column[said] for said in answers.values()], 1)
    return [item for item, _ in table], count_uc


def commonest(count_uc: Floats) -> tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """The commonest number of raters a unit (from 2; of equals the largest), and which units have it."""
    raters_u = count_uc.sum(1)
    numbers, often = np.unique(raters_u[raters_u > 1], return_counts=True)
    if not len(numbers):
        return 0, np.zeros(len(count_uc), bool)
    usual = numbers[len(often) - 1 - int(np.argmax(often[::-1]))]
    return int(usual), raters_u == usual


def raw(item_u: Sequence[Hashable], count_uc: Floats, bootstrap: Bootstrap) -> Interval:
    """The share of the pairs of answers to the same unit that are equal: Σ_u Σ_c n_uc(n_uc − 1) / Σ_u n_u(n_u − 1)."""
    equal_u = (count_uc * (count_uc - 1)).sum(1)
    columns = np.stack([equal_u, _pairs(count_uc)], 1)
    return bootstrap.interval(ratio, by_cluster(item_u, columns))


def nominal(n_rc: Floats) -> Floats:
    """δ²(c, k) = 1 for two different values, else 0."""
    return 1 - np.eye(n_rc.shape[1])


def ordinal(n_rc: Floats) -> Floats:
    """δ²(c, k) = (Σ_{g=c..k} n_g − (n_c + n_k)/2)² of values in their order (Krippendorff 2011, section F)."""
    middle_rc = np.cumsum(n_rc, 1) - n_rc / 2
    return np.square(middle_rc[:, :, None] - middle_rc[:, None, :])


def alpha(
    item_u: Sequence[Hashable], count_uc: Floats, squares: Squares = nominal, *, bootstrap: Bootstrap
) -> Interval:
    """Krippendorff's α = 1 − D_o/D_e (Computing Krippendorff's Alpha-Reliability, 2011).

    Coincidences o_ck = Σ_u n_uc(n_uk − [c = k])/(n_u − 1) over units with two answers or more, n_c = Σ_k o_ck,
    n = Σ_c n_c; D_o = Σ o_ck δ²_ck / n, D_e = Σ n_c n_k δ²_ck / (n(n − 1)). NaN where only one value occurs.
    """
    values = count_uc.shape[1]
    coincidence_ucc = count_uc[:, :, None] * (count_uc[:, None, :] - np.eye(values))
    coincidence_ucc /= np.maximum(1, count_uc.sum(1) - 1)[:, None, None]  # of one answer the coincidences are 0

    def figure(sums_rc: Floats) -> Floats:
        o_rcc = sums_rc.reshape(len(sums_rc), values, values)
        n_rc = o_rcc.sum(2)
        square = squares(n_rc)
        observed = (o_rcc * square).sum((1, 2))
        expected = (n_rc[:, :, None] * n_rc[:, None, :] * square).sum((1, 2))
        return 1 - divide((n_rc.sum(1) - 1) * observed, expected)

    return bootstrap.interval(figure, by_cluster(item_u, coincidence_ucc.reshape(len(count_uc), values * values)))


def fleiss(item_u: Sequence[Hashable], count_uc: Floats, bootstrap: Bootstrap) -> Interval:
    """Fleiss' κ = (P̄ − P_e)/(1 − P_e), P_e = Σ_c p_c² (Fleiss 1971); NaN where only one value occurs.

    P̄ is the mean over units of the share of equal pairs. Raises `ValueError` unless every unit has equally many raters.
    """
    if len(set(count_uc.sum(1).tolist())) > 1:
        raise ValueError("Fleiss' kappa needs the same number of raters for every unit; use Krippendorff's alpha")
    equal_u = (count_uc * (count_uc - 1)).sum(1)
    columns = np.concatenate([equal_u[:, None], _pairs(count_uc)[:, None], count_uc], 1)

    def figure(sums_rc: Floats) -> Floats:
        p_rc = divide(sums_rc[:, 2:], sums_rc[:, 2:].sum(1, keepdims=True) + 0 * sums_rc[:, 2:])
        chance = np.square(p_rc).sum(1)
        return divide(ratio(sums_rc) - chance, 1 - chance)

    return bootstrap.interval(figure, by_cluster(item_u, columns))


def _pairs(count_uc: Floats) -> Floats:
    raters_u: Floats = count_uc.sum(1)
    return raters_u * (raters_u - 1)


def _of_ranks(items: Mapping[int, Item], votes: Sequence[Vote], bootstrap: Bootstrap) -> Interval | None:
    table: Table = {}
    for vote in votes:
        if items[vote.item].kind == "rank" and vote.answer is not None:
            for unit, rank in places(items[vote.item], vote.answer):
                table.setdefault((vote.item, unit), {})[vote.rater] = rank
    most = max((len(items[item].images) for item, _ in table), default=0)
    return alpha(*counts(table, range(most)), ordinal, bootstrap=bootstrap) if table else None
