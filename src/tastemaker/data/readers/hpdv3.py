"""HPDv3 (Ma et al. 2025, arXiv 2508.03789): lists of `prompt`, `path1`, `path2`; the first image is the better one.

`choice_dist` is what the two images got; HPSv3's own code takes the larger of the two for `path1`, so share =
max / (sum), and where both are whole numbers they are votes. `confidence` says how sure the makers are that the
majority is right, which is no share of the preference: it is not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tastemaker.data.readers.listed import Fields, Listed, Listing, Named, Pair, is_number, lists, open_lists
from tastemaker.data.readers.options import Options
from tastemaker.data.readers.row import Preference, Problem, poll
from tastemaker.data.readers.table import plain, text_or_problem

FORMAT = "hpdv3"
NEEDED = {"prompt", "path1", "path2"}


def claims(path: Path) -> bool:
    """Whether this is such a list, or a folder with one in it."""
    return bool(lists(path, _fits))


def open_path(path: Path, options: Options) -> Listed:
    """A list, or a folder of them, each of which is a split of its name. Raises `UserError` where there is none."""
    return open_lists(path, options, LISTING, _fits, "*.json or *.jsonl with prompt, path1, path2")


def _fits(fields: Fields) -> bool:
    return fields.keys() >= NEEDED


def _pairs(fields: Fields) -> Iterable[Pair] | Problem:
    if lacking := sorted(NEEDED - fields.keys()):
        return Problem("", "row_columns", f"lacks {', '.join(lacking)}")
    a, b = (Named(f"path{n}", fields[f"path{n}"], plain(fields.get(f"model{n}"))) for n in (1, 2))
    return [Pair(text_or_problem(fields["prompt"]), a, b, _said(fields.get("choice_dist")))]


def _said(got: object) -> Preference:
    if got is None:
        return Preference("a")
    if not isinstance(got, list) or len(got) != 2 or not all(map(is_number, got)):
        return Preference(Problem("choice_dist", "label_unknown", f"{got!r:.80} is not what two images got"))
    whole = all(float(one).is_integer() for one in got) and sum(got) > 1  # [1.0, 0.0] may as well be shares
    return poll(max(got), min(got), "choice_dist", int(sum(got)) if whole else None)


LISTING = Listing(FORMAT, _pairs)
