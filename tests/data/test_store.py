"""The store: what is written is read, in order, and damage has a name."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.pictures import jpeg
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data import store
from tastemaker.data.comparison import Comparison
from tastemaker.data.store import ImageStore, ImageWriter, read_comparisons, write_comparisons, write_images


def comparisons(count: int) -> list[Comparison]:
    return [
        Comparison(f"id{i}", f"größe {i}", f"a{i}", f"b{i}", ("a", "b", "tie")[i % 3], "f", "me", "one", "two")
        for i in range(count)
    ]


def test_comparisons_come_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK_ROWS", 4)
    write_comparisons(tmp_path, (row for row in comparisons(10)))
    assert read_comparisons(tmp_path) == comparisons(10)
    file = pq.ParquetFile(tmp_path / "comparisons.parquet")
    assert file.schema_arrow.names == list(store.COLUMNS)
    assert file.read(["prompt_sha"]).column(0).to_pylist() == [row.prompt_sha for row in comparisons(10)]


def test_no_comparisons(tmp_path: Path) -> None:
    write_comparisons(tmp_path, [])
    assert read_comparisons(tmp_path) == []


def test_unreadable_comparisons(tmp_path: Path) -> None:
    path = tmp_path / "comparisons.parquet"
    with pytest.raises(UserError, match=r"comparisons\.parquet: no such file; make it with `tastemaker import`"):
        read_comparisons(tmp_path)
    write_comparisons(tmp_path, comparisons(50))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"comparisons\.parquet: damaged or not a Parquet file"):
        read_comparisons(tmp_path)
    write_comparisons(tmp_path, comparisons(3))
    pq.write_table(pq.read_table(path).drop_columns("image_b"), path)
    with pytest.raises(UserError, match="lacks the column image_b"):
        read_comparisons(tmp_path)
    write_comparisons(tmp_path, [*comparisons(2), Comparison("x", "p", "a", "b", "c")])
    with pytest.raises(UserError, match="row 2: label 'c' is none of a, b, tie"):
        read_comparisons(tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "GROUP_IMAGES", 4)
    monkeypatch.setattr(store, "SHARD_IMAGES", 10)


def fill(writer: ImageWriter, images: list[bytes]) -> None:
    for image in images:
        writer.add(sha256_bytes(image), image, "JPEG", 16, 16)
        if writer.full:
            writer.close_shard()


@pytest.mark.usefixtures("small")
def test_images_in_shards_and_groups(tmp_path: Path) -> None:
    images = [jpeg(i) for i in range(25)]
    with ImageWriter(tmp_path) as writer:
        fill(writer, images)
    assert writer.shards == 3
    groups = [
        [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        for file in map(pq.ParquetFile, sorted((tmp_path / "images").iterdir()))
    ]
    assert groups == [[4, 4, 2], [4, 4, 2], [4, 1]]
    found = ImageStore(tmp_path)
    assert list(found.shas) == [sha256_bytes(image) for image in images]
    assert [found.read(sha) for sha in reversed(found.shas)] == images[::-1]
    assert sha256_bytes(images[3]) in found
    assert "nothing" not in found


@pytest.mark.usefixtures("small")
def test_read_many_reads_every_group_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [jpeg(i) for i in range(25)]
    with ImageWriter(tmp_path) as writer:
        fill(writer, images)
    read: list[tuple[int, int]] = []
    one = ImageStore._read_group
    monkeypatch.setattr(ImageStore, "_read_group", lambda self, place: read.append(place) or one(self, place))
    wanted = [24, 0, 11, 1, 3, 24]
    found = list(ImageStore(tmp_path).read_many(sha256_bytes(images[i]) for i in wanted))
    assert found == [(sha256_bytes(images[i]), images[i]) for i in (0, 1, 3, 11, 24)]
    assert read == [(0, 0), (1, 0), (2, 1)]


def test_large_images_close_a_group_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "GROUP_BYTES", 1500)
    images = [jpeg(i) for i in range(6)]
    write_images(tmp_path, images)
    file = pq.ParquetFile(tmp_path / "images" / "images-00000.parquet")
    assert file.num_row_groups > 1
    assert dict(ImageStore(tmp_path).read_many(map(sha256_bytes, images))) == {sha256_bytes(i): i for i in images}


def test_write_images_keeps_each_once(tmp_path: Path) -> None:
    shas = write_images(tmp_path, [jpeg(1), jpeg(2), jpeg(1)])
    assert shas[0] == shas[2]
    assert len(ImageStore(tmp_path)) == 2


def test_an_error_leaves_no_half_shard(tmp_path: Path) -> None:
    def stop() -> None:
        with ImageWriter(tmp_path) as writer:
            fill(writer, [jpeg(i) for i in range(40)])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert list((tmp_path / "images").iterdir()) == []


def test_unreadable_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images here"):
        ImageStore(tmp_path)
    write_images(tmp_path, [jpeg(i) for i in range(3)])
    with pytest.raises(UserError, match="the image 123 is not here"):
        ImageStore(tmp_path).read("123")
    path = tmp_path / "images" / "images-00000.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"images-00000\.parquet: damaged"):
        ImageStore(tmp_path)


@pytest.mark.usefixtures("small")
def test_several_stores_are_one(tmp_path: Path) -> None:
    """Twelve images here, three there, of which one is in both."""
    one, two = [jpeg(i) for i in range(12)], [jpeg(i) for i in (20, 3, 21)]
    for name, images in (("one", one), ("two", two)):
        with ImageWriter(tmp_path / name) as writer:
            fill(writer, images)
    found = ImageStore(tmp_path / "one", tmp_path / "two")
    assert list(found.shas) == [sha256_bytes(image) for image in (*one, two[0], two[2])]
    assert [found.read(sha256_bytes(image)) for image in (*two, *one)] == [*two, *one]
    wanted = [sha256_bytes(image) for image in (two[2], one[11], one[3])]
    assert [data for _, data in found.read_many(wanted)] == [one[3], one[11], two[2]]
    with pytest.raises(UserError, match=r"one/images, .*two/images: the image nothing is not here"):
        found.read("nothing")
