"""The verb ``subset``: the kept pairs with their images, as Parquet that other trainers read, and a data card.

A ranking names images in an order that has nothing to do with where they lie, and to read one costs its whole row
group. So the images are copied once, in the order of the store, to a temporary file that is read in any order.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.base.progress import bar
from tastemaker.data.store import GROUP_BYTES, GROUP_IMAGES, SHARD_BYTES, ImageStore
from tastemaker.rank import card, layouts
from tastemaker.rank.layouts import Format
from tastemaker.rank.pairs import NAME as PAIRS
from tastemaker.rank.provenance import Export, comparisons_path, read_facts, read_ranked, read_told

MARK = "unfinished.json"
"""Which export an unfinished folder belongs to; gone when it is finished."""
SHARD_ROWS = 1 << 20


class Spool:
    """Images one after the other in a temporary file of ``folder``, which is gone when this is closed or killed."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)
        self._place: dict[str, tuple[int, int]] = {}
        self.bytes = 0

    def add(self, sha: str, data: bytes) -> None:
        """Append one image; all are added before the first is read."""
        self._file.write(data)
        self._place[sha] = (self.bytes, len(data))
        self.bytes += len(data)

    def read(self, sha: str) -> bytes:
        """The bytes of one image."""
        start, size = self._place[sha]
        self._file.seek(start)
        return self._file.read(size)

    def size(self, sha: str | None) -> int:
        """Bytes of one image, of none 0."""
        return 0 if sha is None else self._place[sha][1]

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def subset(
    ranked: Path, data: Path, out: Path, formats: Sequence[Format] = ("pickapic",), *, license: str | None = None
) -> dict[str, Any]:
    """Write the kept rows of ``ranked``, with their images from ``data``, to ``out``; returns the summary.

    Every format gets a folder with shards ``train-00000-of-000NN.parquet`` of at most 256 MiB of images, in training
    order, and `README.md` is the data card (`rank.card`). Image bytes are those of the store. The same inputs give the
    same bytes. Memory holds one row group of images and the table of pairs; the disk holds the images once more while
    they are written. A format's folder is visible only when whole; a stopped export is made again but for those.

    Raises `UserError` for a missing or damaged input, an image that ``data`` lacks, and an ``out`` that holds something
    else.
    """
    started = time.monotonic()
    formats = _formats(formats)
    pairs = read_kept(ranked)
    mark = summary.fingerprint(
        verb="subset",
        inputs=[files.sha256_file(path) for path in (ranked / PAIRS, comparisons_path(data))],
        formats=formats,
        license=license,
        paths=[ranked, data],
    )
    with files.locked(out):
        if done := summary.finished(out, mark):
            (out / MARK).unlink(missing_ok=True)
            return done
        store = ImageStore(data)
        check_images(pairs, store, ranked, data)
        told = read_told(data, pairs)
        facts = read_facts(Export(ranked, data, out, formats, license), told.sources)
        _begin(out, mark, formats)
        counts = _write(out, formats, _with_origins(pairs, told.models), store)
        files.write_text(out / card.NAME, card.card(facts))
        what = {"ranked": ranked, "data": data, "kind": "images" if facts.singles else "pairs", "rows": len(pairs)}
        said = {**what, "prompts": facts.spread["kept"]["prompts"], **counts, "license": license}
        done = summary.finish(out, "subset", started, **said, fingerprint=mark)
        (out / MARK).unlink()
    return done


def read_kept(ranked: Path) -> pa.Table:
    """The kept rows in training order, of which there is one at least, without metadata."""
    table = read_ranked(ranked / PAIRS)
    if not len(table):
        raise UserError(f"{ranked / PAIRS}: holds no pair; rank again with a larger --fraction")
    return table.replace_schema_metadata(None)


def check_images(pairs: pa.Table, store: ImageStore, ranked: Path, data: Path) -> None:
    """Raise `UserError` naming the first pair with an image that the store lacks."""
    columns = (pairs[name].to_pylist() for name in ("pair_id", "winner", "loser"))
    for pair_id, *images in zip(*columns, strict=True):
        if missing := next((sha for sha in images if sha is not None and sha not in store), None):
            raise UserError(f"{data}: has no image {missing} of pair {pair_id}; give the --data that {ranked} ranks")


def cuts(sizes: np.ndarray, most_bytes: int, most_rows: int) -> Iterator[slice]:
    """Cut n rows of ``sizes`` [n] bytes into runs of at most so many bytes and rows; a larger row stands alone."""
    ends: np.ndarray = np.cumsum(sizes, dtype=np.int64)
    start, before = 0, 0
    while start < len(sizes):
        fit = int(np.searchsorted(ends, before + most_bytes, "right"))
        stop = max(start + 1, min(fit, start + most_rows))
        yield slice(start, stop)
        start, before = stop, int(ends[stop - 1])


def _formats(formats: Sequence[Format]) -> tuple[Format, ...]:
    """Each once, in the order of `layouts.FORMATS`."""
    if unknown := next((name for name in formats if name not in layouts.FORMATS), None):
        raise UserError(f"--format {unknown}: say {' or '.join(layouts.FORMATS)}")
    if not formats:
        raise UserError(f"no format given; say --format {' or '.join(layouts.FORMATS)}")
    return tuple(name for name in layouts.FORMATS if name in formats)


def _begin(out: Path, mark: str, formats: Sequence[Format]) -> None:
    """Mark ``out`` as ours. Raises `UserError` where it holds what no stopped export of these inputs has left."""
    if (out / MARK).exists():
        if files.read_json(out / MARK) != mark:
            raise UserError(f"{out}: holds a stopped export of other inputs; choose another --out or remove it")
        files.clear_temporaries(out)
        return
    if found := next((name for name in (*formats, card.NAME) if (out / name).exists()), None):
        raise UserError(f"{out / found}: is in the way; choose another --out or remove it")
    files.write_json(out / MARK, mark)


def _with_origins(pairs: pa.Table, models: dict[str, str]) -> pa.Table:
    """``pairs`` with `layouts.COUNT` and `layouts.MODELS`."""
    counted = pc.dictionary_encode(pairs["prompt_sha"].combine_chunks())
    codes = counted.indices.to_numpy()
    pairs = pairs.append_column(layouts.COUNT, pa.array(np.bincount(codes)[codes], pa.int64()))
    for name, role in zip(layouts.MODELS, ("winner", "loser"), strict=True):
        made_by = [models.get(sha) for sha in pairs[role].to_pylist()]
        pairs = pairs.append_column(name, pa.array(made_by, pa.string()))
    return pairs


def _write(out: Path, formats: Sequence[Format], pairs: pa.Table, store: ImageStore) -> dict[str, Any]:
    """All formats, from one reading of the images; returns the summary's counts."""
    sides = [pairs["winner"].to_pylist(), pairs["loser"].to_pylist()]
    wanted = {sha for side in sides for sha in side if sha is not None}
    with Spool(out) as spool:
        for sha, image in bar(store.read_many(wanted), "images", len(wanted), "image"):
            spool.add(sha, image)
        sizes = np.array([spool.size(one) + spool.size(two) for one, two in zip(*sides, strict=True)], np.int64)
        for form in formats:
            if not (out / form).exists():
                _write_format(out / form, form, pairs, sizes, spool)
        shards = sum(1 for _ in cuts(sizes, SHARD_BYTES, SHARD_ROWS))
        counts = {"images": len(wanted), "image_bytes": spool.bytes, "shards": shards}
    return {
        **counts,
        "formats": {form: sum(path.stat().st_size for path in (out / form).iterdir()) for form in formats},
    }


def _write_format(folder: Path, form: Format, pairs: pa.Table, sizes: np.ndarray, spool: Spool) -> None:
    singles = is_single(pairs)
    target = layouts.schema(form, singles, pairs.schema)
    shards = list(cuts(sizes, SHARD_BYTES, SHARD_ROWS))
    with files.atomic_folder(folder) as temporary:
        for number, rows in enumerate(bar(shards, form, unit="shard")):
            path = temporary / f"train-{number:05d}-of-{len(shards):05d}.parquet"
            part = pairs.slice(rows.start, rows.stop - rows.start)
            # images do not compress, and statistics of their bytes help nobody
            options = {"compression": "none", "use_dictionary": False, "write_statistics": ["quality"]}
            with pq.ParquetWriter(path, target, **options) as writer:
                for group in cuts(sizes[rows], GROUP_BYTES, GROUP_IMAGES):
                    held = part.slice(group.start, group.stop - group.start)
                    writer.write_table(layouts.fill(form, singles, held, target, spool.read))


def is_single(pairs: pa.Table) -> bool:
    """Whether the rows are images that were judged alone."""
    return bool(pairs["winner"].null_count or pairs["loser"].null_count)
