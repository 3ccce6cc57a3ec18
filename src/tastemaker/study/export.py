"""Votes for others to read (CSV, Parquet), and as comparisons: a study is a data folder like any other."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.data.comparison import Comparison, label_of, to_share
from tastemaker.study.majority import tally
from tastemaker.study.units import flagged
from tastemaker.study.vote import Image, Item, Vote, last, pseudonym

if TYPE_CHECKING:
    import pyarrow as pa

    from tastemaker.data.store import ImageStore

VOTES_CSV, VOTES_PARQUET = "votes.csv", "votes.parquet"
COLUMNS = (
    "rater", "item", "question", "revision", "stands", "answer", "shown", "seconds", "at",
    "kind", "prompt", "category", "images", "models", "gold", "repeats",
)  # fmt: skip
"""``answer``, ``shown``, ``images``, ``models`` and ``gold`` are JSON; ``stands`` says whether the vote is the last."""


class _Judged(NamedTuple):
    """Two images of a prompt, the share of the votes that ``a`` got, their number, and where they were asked for."""

    prompt: str
    a: Image
    b: Image
    share: float
    votes: int
    source: str


def rows(items: Iterable[Item], votes: Sequence[Vote]) -> Iterator[dict[str, Any]]:
    """Every vote ever cast, in the order given, with what was asked, as a row of `COLUMNS`."""
    by_id, standing = {item.id: item for item in items}, {id(vote) for vote in last(votes)}
    for vote in votes:
        item = by_id[vote.item]
        values = (
            pseudonym(vote.rater), vote.item, vote.question, vote.revision, id(vote) in standing,
            _json(vote.answer), _json(vote.shown), float(vote.seconds), float(vote.at),
            item.kind, item.prompt, item.category, _json([image.sha for image in item.images]),
            _json([image.model for image in item.images]), _json(item.gold), item.repeats,
        )  # fmt: skip
        yield dict(zip(COLUMNS, values, strict=True))


def write_votes(folder: Path, items: Sequence[Item], votes: Sequence[Vote]) -> None:
    """Write all votes to ``folder`` as `votes.csv` and `votes.parquet`."""
    import pyarrow.parquet as pq

    found = list(rows(items, votes))
    with files.atomic_file(folder / VOTES_CSV) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    with files.atomic_file(folder / VOTES_PARQUET) as temporary:
        pq.write_table(_table(found), temporary)


def comparisons(items: Iterable[Item], votes: Iterable[Vote], question: str, source: str = "study") -> list[Comparison]:
    """What the raters' last votes on ``question`` say of every two images, in the order of the design.

    Of a duel (`majority.tally`) `share` is the share of its votes that image a got, ties ½, and `votes` their number.
    Flags are compared within a prompt, over all its items: with p the share of raters who flag an image at all, one
    with p ≤ ½ beats one with p > ½, and its share is ½ + (p_b − p_a)/2, that of two raters drawn independently, of whom
    the one calls a better who flags only b. Items that only check the rater are left out. Exclude raters beforehand.
    """
    by_id = {item.id: item for item in items if item.measured}
    cast = [vote for vote in last(votes) if vote.question == question and vote.item in by_id]
    judged = [*_of_duels(by_id, cast, source), *_of_flags(by_id, cast, source)]
    return [_comparison(each, f"people: {question}") for each in judged if each.a.sha != each.b.sha]


def write_data(
    folder: Path, items: Sequence[Item], votes: Iterable[Vote], question: str, images: ImageStore, source: str = "study"
) -> list[Comparison]:
    """Write the comparisons of ``question`` and their images as a data folder that `score`, `rank` and `train` read.

    Raises `UserError` when nothing was compared, ``folder`` has comparisons already, or ``images`` lacks an image.
    """
    from tastemaker.data.store import COMPARISONS, write_comparisons, write_images

    found = comparisons(items, votes, question, source)
    if not found:
        raise UserError(
            f"{folder}: no votes on {question!r} compare two images; wait for votes or name another question"
        )
    with files.locked(folder):
        if (folder / COMPARISONS).exists():
            raise UserError(f"{folder / COMPARISONS}: is there already; choose another folder")
        needed = dict.fromkeys(sha for comparison in found for sha in comparison.images)
        write_images(folder, (data for _, data in images.read_many(needed)))
        write_comparisons(folder, found)  # last: a folder with comparisons is whole
    return found


def _of_duels(items: Mapping[int, Item], votes: Sequence[Vote], source: str) -> Iterator[_Judged]:
    for duel in tally(items, votes):
        item = items[duel.item]
        a, b = item.images[duel.a], item.images[duel.b]
        yield _Judged(item.prompt, a, b, duel.share, duel.total, f"{source}: item {item.id}")


def _of_flags(items: Mapping[int, Item], votes: Sequence[Vote], source: str) -> Iterator[_Judged]:
    for prompt, images in _flag_shares(items, votes).items():
        for (good, (p_good, n)), (bad, (p_bad, m)) in _unequal(images):
            yield _Judged(prompt, good, bad, 0.5 + (p_bad - p_good) / 2, min(n, m), source)


def _comparison(each: _Judged, judge: str) -> Comparison:
    share = to_share(each.share)
    return Comparison(
        pair_id=files.sha256_text(_json([each.prompt, each.a.sha, each.b.sha, each.source, judge]))[:32],
        prompt=each.prompt,
        image_a=each.a.sha,
        image_b=each.b.sha,
        label=label_of(share),
        source=each.source,
        judge=judge,
        model_a=each.a.model,
        model_b=each.b.model,
        share=share,
        votes=each.votes,
    )


def _flag_shares(items: Mapping[int, Item], votes: Iterable[Vote]) -> dict[str, dict[Image, tuple[float, int]]]:
    """Prompt → image → share of its raters who flag it, and their number; a rater counts once, by any flag ever."""
    said: dict[str, dict[Image, dict[str, bool]]] = {}
    for vote in sorted((vote for vote in votes if items[vote.item].kind == "flag"), key=lambda vote: vote.item):
        item, named = items[vote.item], {place for place, _ in flagged(vote.answer)}
        for place, image in enumerate(item.images):
            raters = said.setdefault(item.prompt, {}).setdefault(image, {})
            raters[vote.rater] = raters.get(vote.rater, False) or place in named
    return {
        prompt: {image: (sum(raters.values()) / len(raters), len(raters)) for image, raters in images.items()}
        for prompt, images in said.items()
    }


def _unequal(images: Mapping[Image, tuple[float, int]]) -> Iterator[tuple[Any, Any]]:
    """Every two images of which most raters flag only the second, the unflagged first."""
    for one, two in combinations(images.items(), 2):
        if (one[1][0] > 0.5) != (two[1][0] > 0.5):
            yield (two, one) if one[1][0] > 0.5 else (one, two)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _table(found: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    kinds = {
        "item": pa.int64(), "revision": pa.int32(), "stands": pa.bool_(), "seconds": pa.float64(),
        "at": pa.float64(), "repeats": pa.int64(),
    }  # fmt: skip
    schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in COLUMNS])
    return pa.Table.from_pylist(list(found), schema)
