"""All scorers that the command line knows: the library's, the small world's, and those of other installed packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tastemaker.score.scorer import Scorer


def table() -> dict[str, str]:
    """Name → ``module:Class`` of every scorer of this package."""
    from tastemaker.score.table import SCORERS
    from tastemaker.world.table import SCORERS as WORLD

    return {**SCORERS, **WORLD}


def build(spec: str) -> Scorer:
    """The scorer that ``spec`` (``name:option=value,…``) names; raises `UserError` when there is none."""
    from tastemaker.score import table as tables
    from tastemaker.score.entry_points import installed

    own = table()
    return tables.build(spec, own, installed(own))


def scorer_id(spec: str) -> str:
    """What a spec is called in the folders of scores: an id or a bare name stays as it is, options make an id."""
    return build(spec).id if ":" in spec else spec
