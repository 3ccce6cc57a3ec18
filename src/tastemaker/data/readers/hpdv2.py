"""HPDv2 (Wu et al. 2023, arXiv 2306.09341): `train.json` with pairs, `test.json` with rankings.

A pair has `prompt`, `file_path` (two) and `human_preference` ([1, 0] where the first is better). A ranking has
`prompt`, `image_path` (n), `rank` (n, the lower the better) and `raw_annotations`, each the `rank` that one person
gave. Where these are there every pair is a poll: a person who ranks one image before another votes for it, who ranks
them the same gives half a vote to each. One row a person would say the same question ten times over, and training
would read each pair as often as it was judged; the share says how sure people were, and `rank` only the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from tastemaker.data.readers.listed import (
    Fields,
    Listed,
    Listing,
    Named,
    Pair,
    is_number,
    lists,
    lower_wins,
    open_lists,
    ranking,
    unlike,
)
from tastemaker.data.readers.options import Options
from tastemaker.data.readers.row import Preference, Problem, poll, read_preference
from tastemaker.data.readers.table import kind, text_or_problem

FORMAT = "hpdv2"
ROUNDING = 1e-6
PAIR = {"prompt", "file_path", "human_preference"}
RANKING = {"prompt", "image_path", "rank"}


def claims(path: Path) -> bool:
    """Whether this is such a list, or a folder with one in it."""
    return bool(lists(path, _fits))


def open_path(path: Path, options: Options) -> Listed:
    """A list, or a folder of them, each of which is a split of its name. Raises `UserError` where there is none."""
    return open_lists(
        path, options, LISTING, _fits, "*.json with prompt, file_path, human_preference or prompt, image_path, rank"
    )


def _fits(fields: Fields) -> bool:
    return fields.keys() >= PAIR or (fields.keys() >= RANKING and isinstance(fields["image_path"], list))


def _pairs(fields: Fields) -> Iterable[Pair] | Problem:
    if fields.keys() >= PAIR:
        return _pair(fields)
    if lacking := sorted(RANKING - fields.keys()):
        return Problem("", "row_columns", f"lacks {', '.join(lacking)}")
    return _ranking(fields)


def _pair(fields: Fields) -> Iterable[Pair] | Problem:
    images, preference = fields["file_path"], fields["human_preference"]
    if wrong := unlike(images, preference, "file_path and human_preference"):
        return wrong
    if len(images) != 2:
        return Problem("file_path", "row_columns", f"{len(images)} images; a pair has two")
    a, b = (Named(f"file_path[{place}]", image) for place, image in enumerate(images))
    return [Pair(text_or_problem(fields["prompt"]), a, b, _preferred(preference))]


def _preferred(shares: list[object]) -> Preference:
    """[1, 0] or [0, 1]; shares must make one whole."""
    first, second = shares
    if not is_number(first) or not is_number(second) or abs(first + second - 1) > ROUNDING:
        return Preference(Problem("human_preference", "label_unknown", f"{shares!r:.80} is neither [1, 0] nor [0, 1]"))
    return read_preference(first, "human_preference")


def _ranking(fields: Fields) -> Iterable[Pair] | Problem:
    images, rank, people = fields["image_path"], fields["rank"], fields.get("raw_annotations") or []
    wrong = unlike(images, rank, "image_path and rank") or _wrong(people, rank)
    if wrong:
        return wrong
    ranks = [person["rank"] for person in people]

    def said(i: int, j: int) -> Preference:
        if not ranks:
            return lower_wins(rank[i], rank[j], "rank")
        first = sum(0.5 if one[i] == one[j] else float(one[i] < one[j]) for one in ranks)
        return poll(first, len(ranks) - first, "raw_annotations", len(ranks))

    return ranking(text_or_problem(fields["prompt"]), images, "image_path", said)


def _wrong(people: object, rank: list[object]) -> Problem | None:
    """What is wrong with what people said: one ranking that cannot be read would change every share."""
    if not isinstance(people, list):
        return Problem("raw_annotations", "label_unknown", f"not a list but {kind(people)}")
    for place, person in enumerate(people):
        theirs = person.get("rank") if isinstance(person, dict) else None
        if not isinstance(theirs, list) or len(theirs) != len(rank) or not all(map(is_number, theirs)):
            return Problem(f"raw_annotations[{place}]", "label_unknown", f"not a rank for each of {len(rank)} images")
    return None


def _elsewhere(table: PurePath, reference: str) -> str:
    """The archives of the images unpack into `train` and `test`, which the paths do not name."""
    return f"{table.stem}/{reference}"


LISTING = Listing(FORMAT, _pairs, elsewhere=_elsewhere)
