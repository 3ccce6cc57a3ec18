"""Small sources of every format, written by hand, and what every reader owes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.base.files import sha256_bytes
from tastemaker.data.importing import import_data
from tastemaker.data.readers import open_source
from tastemaker.data.readers.row import Place
from tastemaker.data.store import read_comparisons

Put = Callable[[dict[str, Any]], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write files into the folder `in`: bytes and text as they are, a `*.jsonl` a line an item, the rest as JSON."""

    def write(files: dict[str, Any]) -> Path:
        for name, content in files.items():
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else _text(name, content).encode())
        return tmp_path / "in"

    return write


def _text(name: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(json.dumps(one) + "\n" for one in content) if name.endswith(".jsonl") else json.dumps(content)


@pytest.fixture
def parquet() -> Callable[[dict[str, Any]], bytes]:
    """The bytes of a Parquet file with these columns."""

    def write(columns: dict[str, Any]) -> bytes:
        file = io.BytesIO()
        pq.write_table(pa.table(columns), file)
        return file.getvalue()

    return write


@pytest.fixture
def said(tmp_path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Import a source into `data`, and everything that is kept: prompt, the images' names, label, share, votes."""

    def read(source: Path, images: dict[str, bytes], **options: Any) -> list[tuple[Any, ...]]:
        import_data(str(source), tmp_path / "data", **options)
        names = {sha256_bytes(image): name for name, image in images.items()}
        return [
            (one.prompt, "".join(names[sha] for sha in one.images), one.label, one.share, one.votes)
            for one in read_comparisons(tmp_path / "data")
        ]

    return read


@pytest.fixture
def resumes() -> Callable[..., int]:
    """Open a source and start behind each of its rows: the others come in the same order. The number of rows."""

    def check(path: Path, **options: Any) -> int:
        source = open_source(str(path), **options)
        rows = list(source.read(Place(0, 0)))
        places = [row.place for row in rows]
        assert places == sorted(set(places))
        assert source.rows == len(rows)
        for done, place in enumerate(places, 1):
            assert list(source.read(place.after)) == rows[done:]
            assert list(source.read(place)) == rows[done - 1 :]
        again = open_source(str(path), **options)
        assert (again.identity, again.rows) == (source.identity, source.rows)
        return len(rows)

    return check
