"""What the arguments of `tastemaker study create` mean; each raises `UserError` naming the argument that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.yaml12 import load_scalar
from tastemaker.study.build import Source, from_comparisons, from_folders
from tastemaker.study.vote import Kind

TABLES = ".csv, .tsv or .jsonl with the columns prompt and category"
COLUMNS = ("prompt", "category")


def source(images: Sequence[str], data: Path | None, kind: Kind, categories: Mapping[str, str]) -> Source:
    """The tasks of the folders or of the data folder, of which one must be given."""
    if bool(images) == (data is not None):
        raise UserError("--images and --data: give one of them, folders of tastemaker generate or a data folder")
    if data is not None:
        return from_comparisons(data, categories=categories)
    return from_folders(_folders(images), kind, categories)


def _folders(given: Sequence[str]) -> dict[str, Path]:
    """Name → folder of texts such as ``base=images/base``."""
    folders: dict[str, Path] = {}
    for text in given:
        name, _, folder = text.partition("=")
        if not name or not folder:
            raise UserError(f"--images {text}: say a name and a folder, such as base=images/base")
        if name in folders:
            raise UserError(f"--images {text}: the name {name} stands there twice; give each model its own")
        folders[name] = Path(folder)
    return folders


def rules(given: Sequence[str]) -> dict[str, Any]:
    """Rule → limit of texts such as ``gold_missed=0.4``."""
    limits: dict[str, Any] = {}
    for text in given:
        name, _, limit = text.partition("=")
        if not name or not limit:
            raise UserError(f"--rule {text}: say a rule and its limit, such as gold_missed=0.4")
        limits[name.replace("-", "_")] = load_scalar(limit)
    return limits


def amount(option: str, asked: float) -> float:
    """``asked`` as it is: a whole number of tasks, or a share of them."""
    if not (asked >= 0 if isinstance(asked, int) else 0 <= asked <= 1):
        raise UserError(f"{option} {asked}: is neither a number of tasks (5) nor a share up to 1 (0.1)")
    return asked


def gold(data: Path | None, asked: float | None) -> float:
    """How many gold tasks, by default a tenth where there are some."""
    if data is None and asked:
        raise UserError(f"--gold {asked}: there is nothing to take them from; give --gold-data")
    return amount("--gold", 0.1 if asked is None and data is not None else asked or 0)


def consent(text: str, file: Path | None) -> str:
    """The text that people agree to, of which one may be given."""
    if text and file:
        raise UserError("--consent and --consent-file: give one of them")
    try:
        return file.read_text(encoding="utf-8") if file else text
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--consent-file {file}: cannot be read ({error}); give a file of text in UTF-8") from None


def read_categories(path: Path) -> dict[str, str]:
    """Prompt → category of a table; raises `UserError` naming the file and what is wrong in it."""
    found: dict[str, str] = {}
    for number, (prompt, category) in enumerate(_rows(path), 1):
        if not isinstance(prompt, str) or not isinstance(category, str) or not prompt or not category.strip():
            raise UserError(f"{path}: row {number}: lacks a prompt or a category; fill it in")
        if found.setdefault(prompt, category.strip()) != category.strip():
            raise UserError(f"{path}: row {number}: {prompt!r:.80} has another category above; give it one")
    return found


def _rows(path: Path) -> Iterable[tuple[Any, Any]]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json

    text = pa.schema([(name, pa.string()) for name in COLUMNS])
    if not path.is_file():
        raise UserError(f"{path}: no such file; give {TABLES}")
    try:
        if path.suffix.lower() == ".jsonl":
            way = pa.json.ParseOptions(explicit_schema=text, unexpected_field_behavior="ignore")
            table = pa.json.read_json(path, parse_options=way)
        elif path.suffix.lower() in (".csv", ".tsv"):
            comma = "\t" if path.suffix.lower() == ".tsv" else ","
            table = pa.csv.read_csv(
                path,
                parse_options=pa.csv.ParseOptions(delimiter=comma, newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(column_types=text, include_columns=list(COLUMNS)),
            )
        else:
            raise UserError(f"{path}: unknown kind of table; give {TABLES}")
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())[:160]}; give {TABLES}") from None
    return zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)
