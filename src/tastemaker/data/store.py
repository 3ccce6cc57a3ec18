"""The store on disk: `comparisons.parquet` and the images, each once, in Parquet shards.

Image bytes are kept exactly as found. A row group holds at most 32 images (fewer when they are large), so that
reading one image costs little and no reader needs more memory than one row group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count, islice, takewhile
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, sha256_bytes
from tastemaker.data.comparison import LABELS, SINGLES, Comparison, label_of
from tastemaker.data.images import probe

COMPARISONS = "comparisons.parquet"
IMAGES = "images"
TEXTS = (
    "pair_id", "prompt", "prompt_sha", "image_a", "image_b", "label", "source", "judge", "model_a", "model_b",
)  # fmt: skip
SOFT = {"share": pa.float32(), "votes": pa.int32()}
"""The columns that stores written before there were soft labels do not have."""
COLUMNS = (*TEXTS, *SOFT)
FIELDS = tuple(name for name in COLUMNS if name != "prompt_sha")
COMPARISON_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=name == "image_b") for name in TEXTS] + [*map(pa.field, SOFT, SOFT.values())]
)
IMAGE_SCHEMA = pa.schema(
    [
        pa.field("sha", pa.string(), nullable=False),
        pa.field("bytes", pa.binary(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
    ]
)
CHUNK_ROWS = 8192
GROUP_IMAGES = 32
GROUP_BYTES = 32 << 20
SHARD_IMAGES = 4096
SHARD_BYTES = 256 << 20


def write_comparisons(data: Path, comparisons: Iterable[Comparison]) -> None:
    """Write ``data/comparisons.parquet`` in the order given; the whole is never in memory."""
    rows = iter(comparisons)
    with (
        atomic_file(data / COMPARISONS) as temporary,
        pq.ParquetWriter(temporary, COMPARISON_SCHEMA, compression="zstd") as writer,
    ):
        while chunk := list(islice(rows, CHUNK_ROWS)):
            columns = {name: [getattr(row, name) for row in chunk] for name in COLUMNS}
            writer.write_table(pa.table(columns, COMPARISON_SCHEMA))


def read_comparisons(data: Path) -> list[Comparison]:
    """All comparisons of a store, as sorted in their source; in one without the columns of `SOFT` these are None.

    Raises `UserError` naming the file when it is missing or damaged, lacks a column, or holds an unknown label or one
    that does not fit the number of images or the share.
    """
    path = data / COMPARISONS
    with _readable(path):
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        fields = [name for name in FIELDS if name not in SOFT or SOFT.keys() & set(names)]
        if missing := [name for name in fields if name not in names]:
            raise UserError(f"{path}: lacks the column {missing[0]}; import the data again")
        batches = file.iter_batches(CHUNK_ROWS, columns=fields)
        comparisons = [Comparison(*row) for batch in batches for row in zip(*_lists(batch), strict=True)]
    for number, comparison in enumerate(comparisons):
        if wrong := _wrong(comparison):
            raise UserError(f"{path}: row {number}: {wrong}")
    return comparisons


def _wrong(comparison: Comparison) -> str:
    """What contradicts itself in a row, or nothing."""
    label, share = comparison.label, comparison.share
    if label not in LABELS:
        return f"label {label!r} is none of {', '.join(LABELS)}"
    if (label in SINGLES) != (comparison.image_b is None):
        images = f"{len(comparison.images)} image{'s' * (len(comparison.images) - 1)}"
        return f"label {label!r} with {images}; import the data again"
    if share is not None and (not 0 <= share <= 1 or label != label_of(share)):
        return f"label {label!r} with a share of {share}; import the data again"
    return ""


def read_columns(data: Path, needed: Sequence[str], if_there: Sequence[str] = ()) -> pa.Table:
    """Columns of the comparisons of a store: a million rows are worked on column by column, not one by one.

    ``if_there`` are columns that a store of an earlier version does not have. Raises `UserError` naming the file.
    """
    path = data / COMPARISONS
    with _readable(path):
        there = [name for name in if_there if name in pq.read_schema(path).names]
        return pq.read_table(path, columns=[*needed, *there]).select([*needed, *there])


def write_images(data: Path, images: Iterable[bytes]) -> list[str]:
    """Write a whole image store at once, each distinct image once, and return one sha per image given.

    Raises `ImageProblem` for bytes that are no image.
    """
    shas: list[str] = []
    known: set[str] = set()
    with ImageWriter(data) as writer:
        for image in images:
            sha = sha256_bytes(image)
            if sha not in known:
                writer.add(sha, image, *probe(image))
            known.add(sha)
            shas.append(sha)
    return shas


def shard_path(data: Path, number: int) -> Path:
    """Where the image shard ``number`` lies."""
    return data / IMAGES / f"images-{number:05d}.parquet"


class ImageWriter:
    """Writes distinct images shard after shard; a shard is visible only when whole.

    The caller sees to it that no image is added twice (the import asks its journal, which needs no memory).
    ``shards`` counts the whole shards; start with the count of a stopped run to go on where it was. A shard closes
    when `full` is seen and `close_shard` called, or at the end of the `with` block; an error in it drops the
    unfinished shard.
    """

    def __init__(self, data: Path, shards: int = 0) -> None:
        self.shards = shards
        self._data = data
        self._open = ExitStack()
        self._file: pq.ParquetWriter | None = None
        self._group: list[tuple[str, bytes, str, int, int]] = []
        self._images = self._bytes = self._group_bytes = 0

    @property
    def full(self) -> bool:
        """Whether the open shard has reached its size."""
        return self._images >= SHARD_IMAGES or self._bytes >= SHARD_BYTES

    def add(self, sha: str, data: bytes, kind: str, width: int, height: int) -> None:
        """Add one image; ``kind``, ``width`` and ``height`` are what `images.probe` says of ``data``."""
        self._group.append((sha, data, kind, width, height))
        self._images += 1
        self._bytes += len(data)
        self._group_bytes += len(data)
        if len(self._group) >= GROUP_IMAGES or self._group_bytes >= GROUP_BYTES:
            self._write_group()

    def close_shard(self) -> None:
        """Make the open shard visible under its final name; nothing happens when it is empty."""
        if self._group:
            self._write_group()
        if self._file is None:
            return
        self._open.close()
        self._file = None
        self._images = self._bytes = 0
        self.shards += 1

    def _write_group(self) -> None:
        if self._file is None:
            temporary = self._open.enter_context(atomic_file(shard_path(self._data, self.shards)))
            options = {"compression": "none", "use_dictionary": False, "write_statistics": ["sha"]}
            self._file = self._open.enter_context(pq.ParquetWriter(temporary, IMAGE_SCHEMA, **options))
        columns = dict(zip(IMAGE_SCHEMA.names, zip(*self._group, strict=True), strict=True))
        self._file.write_table(pa.table(columns, IMAGE_SCHEMA))
        self._group, self._group_bytes = [], 0

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close_shard()
        self._open.__exit__(kind, error, trace)


class ImageStore:
    """Random and sequential access to the images of one or several stores; one that is in two is read from the first.

    It keeps the last row group read, so use it from one thread. Raises `UserError` naming the shard when one is
    damaged, or the folder when there are no images.
    """

    def __init__(self, *data: Path) -> None:
        self._data = data
        self._shards: list[Path] = []
        self._places: dict[str, tuple[int, int]] = {}  # sha → (shard, row group)
        self._last: tuple[tuple[int, int], dict[str, bytes]] = ((-1, -1), {})
        self._file: tuple[int, pq.ParquetFile] | None = None
        for folder in data:
            self._open(folder)

    @property
    def shas(self) -> KeysView[str]:
        """The hex SHA-256 of every image, in the order of the store."""
        return self._places.keys()

    def __contains__(self, sha: object) -> bool:
        return sha in self._places

    def __len__(self) -> int:
        return len(self._places)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width in pixels, after EXIF rotation, of every image."""
        found: dict[str, tuple[int, int]] = {}
        for shard in sorted({shard for shard, _ in self._places.values()}):
            with _readable(self._shards[shard]):
                rows = self._shard(shard).read(["sha", "height", "width"]).to_pylist()
                found.update((row["sha"], (row["height"], row["width"])) for row in rows)
        return found

    def read(self, sha: str) -> bytes:
        """The encoded bytes of one image."""
        return self._read_group(self._place(sha))[sha]

    def read_many(self, shas: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The images ``shas``, each once, in the order of the store, every row group read once."""
        wanted: dict[tuple[int, int], set[str]] = {}
        for sha in shas:
            wanted.setdefault(self._place(sha), set()).add(sha)
        for place in sorted(wanted):
            yield from ((sha, data) for sha, data in self._read_group(place).items() if sha in wanted[place])

    def _place(self, sha: str) -> tuple[int, int]:
        if sha not in self._places:
            folders = ", ".join(str(folder / IMAGES) for folder in self._data)
            raise UserError(f"{folders}: the image {sha} is not here; import the data again")
        return self._places[sha]

    def _open(self, data: Path) -> None:
        if not shard_path(data, 0).exists():
            raise UserError(f"{data / IMAGES}: no images here; is {data} the folder that `tastemaker import` wrote?")
        for path in takewhile(Path.exists, (shard_path(data, number) for number in count())):
            self._shards.append(path)
            self._index(len(self._shards) - 1)

    def _index(self, shard: int) -> None:
        with _readable(self._shards[shard]):
            file = self._shard(shard)
            shas = iter(file.read(["sha"]).column("sha").to_pylist())
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                for sha in islice(shas, rows):
                    self._places.setdefault(sha, (shard, group))

    def _shard(self, shard: int) -> pq.ParquetFile:
        if self._file is None or self._file[0] != shard:
            self._file = (shard, pq.ParquetFile(self._shards[shard]))
        return self._file[1]

    def _read_group(self, place: tuple[int, int]) -> dict[str, bytes]:
        if self._last[0] != place:
            with _readable(self._shards[place[0]]):
                table = self._shard(place[0]).read_row_group(place[1], ["sha", "bytes"])
                self._last = (place, dict(zip(*_lists(table), strict=True)))
        return self._last[1]


def _lists(table: pa.Table | pa.RecordBatch) -> list[list[str]]:
    return [column.to_pylist() for column in table.columns]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make it with `tastemaker import`") from None
    except (pa.ArrowException, OSError, KeyError) as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged or not a Parquet file ({text}); import the data again") from None
