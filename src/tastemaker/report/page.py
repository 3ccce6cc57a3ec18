"""A page is a list of sections, a section a list of parts; the template knows how each kind of part looks.

Everything from data is text and is escaped by the template; the only markup that passes is the SVG of `plots`.
The page asks for nothing: its Content-Security-Policy forbids scripts and every request.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tastemaker.base import files

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text."""

    kind: ClassVar[str] = "text"
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Tile:
    """A key figure: what, how much, and a remark such as its interval."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    """Key figures side by side."""

    kind: ClassVar[str] = "tiles"
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Figure:
    """A drawing, once for wide and once for narrow screens, and the numbers it shows (column → values)."""

    kind: ClassVar[str] = "figure"
    name: str
    wide: str
    narrow: str
    alt: str
    caption: str
    data: Mapping[str, Sequence[Any]] = field(repr=False)


@dataclass(frozen=True)
class Table:
    """Rows of text; the columns from number ``numbers`` on are figures and stand to the right."""

    kind: ClassVar[str] = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: int = 1
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, its size in pixels, and what stands under it; ``mark`` is good, bad or nothing."""

    source: str
    width: int
    height: int
    alt: str
    label: str
    lines: tuple[str, ...] = ()
    mark: str = ""

    @property
    def small(self) -> bool:
        """Few pixels, to be shown as pixels."""
        return max(self.width, self.height) <= 128


@dataclass(frozen=True)
class Strip:
    """Pictures of one prompt side by side."""

    prompt: str
    pictures: tuple[Picture, ...]
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Strips under a heading."""

    kind: ClassVar[str] = "gallery"
    title: str
    strips: tuple[Strip, ...]
    caption: str = ""

    @property
    def across(self) -> int:
        """Pictures side by side."""
        return max((len(strip.pictures) for strip in self.strips), default=1)


@dataclass(frozen=True)
class Facts:
    """Names and values behind a fold, or a text kept as it is."""

    kind: ClassVar[str] = "facts"
    title: str
    rows: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


Part = Text | Tiles | Figure | Table | Gallery | Facts


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    parts: tuple[Part, ...]


def render(title: str, sections: Sequence[Section], lead: str = "", data_folder: str | None = None) -> str:
    """The page as HTML, the same for the same input; links to the figures' numbers point into ``data_folder``."""
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tastemaker.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, markupsafe.Markup) else printable(value),
    )
    environment.filters["svg"] = markupsafe.Markup
    template = environment.get_template("page.html.j2")
    return template.render(title=title, sections=sections, lead=lead, data_folder=data_folder)


def printable(value: Any) -> Any:
    """Text without control characters, which HTML cannot hold: each becomes U+FFFD."""
    return CONTROL.sub("\ufffd", value) if isinstance(value, str) else value


def figures(sections: Sequence[Section]) -> list[Figure]:
    """All figures of a page; their names must differ."""
    found = [part for section in sections for part in section.parts if isinstance(part, Figure)]
    assert len({figure.name for figure in found}) == len(found), "two figures have the same name"
    return found


def write(out: Path, title: str, sections: Sequence[Section], lead: str = "") -> Path:
    """Write the page to ``out``, each figure's numbers as CSV to the folder ``<name>-data`` beside it; returns that."""
    data = out.with_name(f"{out.stem}-data")
    for figure in figures(sections):
        files.write_text(data / f"{figure.name}.csv", _csv(figure.data))
    files.write_text(out, render(title, sections, lead, data.name))
    return data


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue()
