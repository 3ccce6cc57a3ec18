"""What people say of a round's pictures, in one of three files of the round's folder.

choices.csv     prompt, image_a, image_b, label; prompt may be left out, further columns are ignored
choices.jsonl   objects with the same fields, one a line
ratings.json    [P][K] numbers, or lists of numbers (criteria), higher is better: the form of D3PO's own code

Sample 2 of prompt number 3 is the picture `pictures/00003-2.png`, or `00003-2` for short; both count from 0.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, read_json
from tastemaker.data.comparison import OPPOSITE, Label, parse_label
from tastemaker.data.readers.row import Problem
from tastemaker.data.readers.table import Record, plain, records

PICTURES = "pictures"
FILES = ("choices.csv", "choices.jsonl", "ratings.json")
COLUMNS = ("prompt", *(NEEDED := ("image_a", "image_b", "label")))
_PICTURE = re.compile(rf"(?:{PICTURES}/)?([0-9]{{5}}|[1-9][0-9]{{5,8}})-(0|[1-9][0-9]{{0,8}})(?:\.png)?")


class Choice(NamedTuple):
    """Which of samples ``a`` and ``b`` of prompt number ``prompt`` is better: label a, b or tie."""

    prompt: int
    a: int
    b: int
    label: Label


class _Answers(NamedTuple):
    """What a file says: whether anything, in one line what it does not say yet, and what it does."""

    name: str
    begun: bool
    lack: str
    choices: list[Choice]


def name_of(prompt: int, sample: int) -> str:
    """The name of a picture without its folder and its ending."""
    return f"{prompt:05d}-{sample}"


def dominance(a: Sequence[float], b: Sequence[float], tie: float = 0.0) -> Label:
    """The one that is worse in no criterion and better in at least one; differences up to ``tie`` count as equal."""
    better = any(x - y > tie for x, y in zip(a, b, strict=True))
    worse = any(y - x > tie for x, y in zip(a, b, strict=True))
    return "tie" if better == worse else "a" if better else "b"


def write_template(folder: Path, prompts: Sequence[str], samples: int) -> Path:
    """`choices.csv` with an empty label for every pair of every prompt; a file that is there stays as it is."""
    if (path := folder / FILES[0]).exists():
        return path
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for p, a, b in _pairs(len(prompts), samples):
            writer.writerow([_folded(prompts[p]), *(f"{PICTURES}/{name_of(p, sample)}.png" for sample in (a, b)), ""])
    return path


def read(folder: Path, prompts: Sequence[str], samples: int) -> list[Choice] | str:
    """What was chosen, sorted, with a < b; or one line that says what is missing. A pair without a row is not judged.

    A file in which nothing is filled in yields to another. Raises `UserError` when two are filled in, and for what
    cannot be understood, fits no picture of this round or contradicts itself.
    """
    paths = [path for name in FILES if (path := folder / name).exists()]
    found = [(_ratings if path.suffix == ".json" else _table)(path, prompts, samples) for path in paths]
    begun = [answers for answers in found if answers.begun]
    if len(begun) > 1:
        names = " and ".join(answers.name for answers in begun)
        raise UserError(f"{folder}: {names} are filled in; keep one of them and remove the rest")
    if not found:
        return f"no {', '.join(FILES[:-1])} or {FILES[-1]} yet"
    answers = (begun or found)[0]
    return answers.lack or sorted(answers.choices)


def _answers(name: str, missing: int, total: int, of: tuple[str, str], choices: list[Choice]) -> _Answers:
    if missing == total:
        return _Answers(name, False, f"{name}: no {of[1]} yet", [])
    lack = f"{name}: {missing} of {total} {of[0]} {'has' if missing == 1 else 'have'} no {of[1]} yet"
    return _Answers(name, True, lack if missing else "", choices)


def _pairs(prompts: int, samples: int) -> Iterator[tuple[int, int, int]]:
    return ((p, a, b) for p in range(prompts) for a, b in itertools.combinations(range(samples), 2))


def _folded(prompt: str) -> str:
    """In one line: spreadsheets do as they like with line ends."""
    return " ".join(prompt.split())


def _table(path: Path, prompts: Sequence[str], samples: int) -> _Answers:
    rows = [record for record in records(path) if not _emptied(record)]
    if not rows:
        raise UserError(f"{path}: has no rows; judge at least one pair, or remove the file")
    judged: dict[tuple[int, int, int], tuple[Choice, int]] = {}
    missing = 0
    for record in rows:
        choice = _choice(f"{path}: line {record.line}", record, prompts, samples)
        missing += choice is None
        if choice and (first := judged.setdefault(choice[:3], (choice, record.line)))[0] != choice:
            raise UserError(f"{path}: line {record.line}: label: line {first[1]} says otherwise; delete one of the two")
    return _answers(path.name, missing, len(rows), ("rows", "label"), [choice for choice, _ in judged.values()])


def _emptied(record: Record) -> bool:
    return not isinstance(record.fields, Problem) and not any(plain(cell).strip() for cell in record.fields.values())


def _choice(where: str, record: Record, prompts: Sequence[str], samples: int) -> Choice | None:
    """None where there is no label yet."""
    fields = _fields(where, record)
    (p, a), (q, b) = (_place(f"{where}: {name}", fields[name], len(prompts), samples) for name in NEEDED[:2])
    if p != q or a == b:
        wrong = "pictures of different prompts" if p != q else "twice the same picture"
        raise UserError(f"{where}: image_a, image_b: {wrong}; name two samples of one prompt, or delete the row")
    _check_prompt(f"{where}: prompt", plain(fields.get("prompt")), prompts[p], name_of(p, a))
    label = _label(f"{where}: label", fields["label"])
    if label is None or a < b:
        return label and Choice(p, a, b, label)
    return Choice(p, b, a, OPPOSITE.get(label, label))


def _fields(where: str, record: Record) -> dict[str, Any]:
    if isinstance(record.fields, Problem):
        raise UserError(f"{where}: {record.fields.detail}; correct the row or delete it; commas separate columns")
    if lacking := [name for name in NEEDED if name not in record.fields]:
        found = ", ".join(record.fields)
        raise UserError(
            f"{where}: no {', '.join(lacking)} in {found!r:.80}; it takes {', '.join(COLUMNS)}, with commas"
        )
    return record.fields


def _place(where: str, cell: object, prompts: int, samples: int) -> tuple[int, int]:
    name = _PICTURE.fullmatch(str(cell).strip())
    if not name:
        raise UserError(f"{where}: {cell!r:.80} is no picture; write {name_of(0, 1)} for sample 1 of prompt 0")
    p, sample = map(int, name.groups())
    if p >= prompts or sample >= samples:
        most = f"prompts up to {prompts - 1} and samples up to {samples - 1}"
        raise UserError(f"{where}: {cell!r:.80} is not of this round, which has {most}; correct or delete the row")
    return p, sample


def _check_prompt(where: str, cell: str, prompt: str, name: str) -> None:
    if _folded(cell) not in ("", _folded(prompt)):
        raise UserError(f"{where}: {cell!r:.80}, but {name} is of {prompt!r:.80}; correct the cell or empty it")


def _label(where: str, cell: object) -> Label | None:
    try:
        return parse_label(cell)
    except ValueError:
        raise UserError(f"{where}: {cell!r:.80} is no label; write a, b or tie (left, right, 1, 0, 0.5)") from None


def _ratings(path: Path, prompts: Sequence[str], samples: int) -> _Answers:
    rated, total = _rated(path, len(prompts), samples), len(prompts) * samples
    pairs = _pairs(len(prompts), samples) if len(rated) == total else ()
    choices = [Choice(p, a, b, dominance(rated[p, a], rated[p, b])) for p, a, b in pairs]
    return _answers(path.name, total - len(rated), total, ("entries", "rating"), choices)


def _rated(path: Path, prompts: int, samples: int) -> dict[tuple[int, int], list[float]]:
    """(prompt, sample) → criteria, without those that are null or have a null."""
    rows = _listed(str(path), read_json(path), prompts, "rows, one a prompt")
    columns = [_listed(f"{path}: row {p}", row, samples, "ratings, one a sample") for p, row in enumerate(rows)]
    found: dict[tuple[int, int], list[float]] = {}
    for p, s in itertools.product(range(prompts), range(samples)):
        values = _values(where := f"{path}: row {p}, column {s} ({name_of(p, s)})", columns[p][s])
        if values and len(values) != (criteria := len(next(iter(found.values()), values))):
            raise UserError(f"{where}: {len(values)} criteria, but {criteria} before it; rate all pictures by the same")
        found |= {(p, s): values} if values else {}
    return found


def _listed(where: str, value: object, length: int, of: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        found = f"a list of {len(value)}" if isinstance(value, list) else f"{value!r:.80}"
        raise UserError(f"{where}: {found}; give a list of {length} {of}, null for what is not rated yet")
    return value


def _values(where: str, entry: object) -> list[float]:
    """Nothing where there is a null."""
    values: list[Any] = entry if isinstance(entry, list) else [entry]
    if not values or not all(value is None or _finite(value) for value in values):
        raise UserError(f"{where}: {entry!r:.80} is no rating; give a finite number, a list of them, or null")
    return [] if None in values else [float(value) for value in values]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
