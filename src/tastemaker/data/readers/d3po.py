"""What D3PO's public code (Yang et al. 2023, arXiv 2311.13231) samples, and people's ratings of it.

`prompt.json` lists the prompts, and `images/00000.png` … hold k images of the first, then k of the second, and so on.
Every other `*.json` in the folder, or in a folder of it, is one person's: a list with k ratings for each prompt, the
higher the better. Two images of a prompt are a pair: whoever rates one higher votes for it, and who rates them the
same gives half a vote to each. (The public code takes the mean of the ratings, which lets a person who uses a wider
scale outvote the others.) The samples' latents are not read: they are a pickle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_file, sha256_text
from tastemaker.data.readers.json_list import LIST
from tastemaker.data.readers.listed import Fields, Listed, Listing, Pair, is_number, open_listed, ranking
from tastemaker.data.readers.options import Options
from tastemaker.data.readers.row import Preference, Problem, poll
from tastemaker.data.readers.table import Record, text_or_problem

FORMAT = "d3po"
PROMPTS = "prompt.json"
IMAGES = "images"

Ratings = dict[str, list[Any]]
"""What each person's file holds."""


def claims(path: Path) -> bool:
    """Whether a folder holds the prompts and the images."""
    return path.is_dir() and (path / PROMPTS).is_file() and (path / IMAGES).is_dir()


def open_path(path: Path, options: Options) -> Listed:
    """Look at a folder. Raises `UserError` where the prompts or all ratings are missing, or do not fit one another."""
    options.refuse(path, "split", "question")
    if not claims(path):
        raise UserError(f"{path}: needs {PROMPTS} and the folder {IMAGES}, as D3PO's scripts/sample.py writes them")
    ratings = _ratings(path)
    images = _images_a_prompt(path, ratings)
    listing = Listing(FORMAT, _pairs, partial(_records, ratings=ratings, images=images))
    listed = open_listed(listing, path, [path / PROMPTS])
    people = [f"{name} {sha256_file(path / name)}" for name in ratings]
    return Listed(listing, path, listed.tables, listed.rows, sha256_text("\n".join([listed.digest, *people])))


def _ratings(path: Path) -> Ratings:
    """In the order of the files' names; the pieces of `prompt.json` that sampling leaves behind are not ratings."""
    found = [file for pattern in (f"*{LIST}", f"*/*{LIST}") for file in sorted(path.glob(pattern))]
    files = [file for file in found if not file.name.startswith("prompt")]
    if not files:
        raise UserError(f"{path}: no ratings; put each person's *.json beside {PROMPTS}")
    return {file.relative_to(path).as_posix(): _list(file) for file in files}


def _list(path: Path) -> list[Any]:
    value = read_json(path)
    if not isinstance(value, list):
        raise UserError(f"{path}: not a JSON list, with an item for each prompt")
    return value


def _images_a_prompt(path: Path, ratings: Ratings) -> int:
    """How many images a prompt has, by what most ratings say."""
    prompts = len(_list(path / PROMPTS))
    for name, rows in ratings.items():
        if len(rows) > prompts:
            raise UserError(f"{path / name}: rates {len(rows)} prompts, and {PROMPTS} has {prompts}")
    sizes = Counter(len(row) for rows in ratings.values() for row in rows if isinstance(row, list))
    if not sizes or (size := sizes.most_common(1)[0][0]) < 2:
        raise UserError(f"{path}: no ratings of two images or more; each item is a list, a number an image")
    return size


def _records(table: Path, ratings: Ratings, images: int) -> Iterator[Record]:
    """One a prompt. A person who has not got so far has said nothing of it."""
    for number, prompt in enumerate(_list(table)):
        names = [f"{IMAGES}/{image:05}.png" for image in range(number * images, (number + 1) * images)]
        theirs = {name: rows[number] for name, rows in ratings.items() if number < len(rows)}
        yield Record(number, {"prompt": prompt, "images": names, "ratings": theirs})


def _pairs(fields: Fields) -> Iterable[Pair] | Problem:
    images, ratings = fields["images"], fields["ratings"]
    for name, theirs in ratings.items():
        if not isinstance(theirs, list) or len(theirs) != len(images) or not all(map(_is_rating, theirs)):
            return Problem(name, "label_unknown", f"{theirs!r:.80} is not a number for each of {len(images)} images")

    def said(i: int, j: int) -> Preference:
        judged = [(one[i], one[j]) for one in ratings.values() if one[i] is not None and one[j] is not None]
        first = sum(0.5 if a == b else float(a > b) for a, b in judged)
        return poll(first, len(judged) - first, "ratings", len(judged))

    return ranking(text_or_problem(fields["prompt"]), images, "images", said)


def _is_rating(value: object) -> bool:
    return value is None or is_number(value)
