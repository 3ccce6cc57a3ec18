"""The exported subset: by hand, read back, in shards, stopped, and what is refused."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from support.datasets import RedScorer, png, sha, write_data
from support.pictures import SCHEMA, contents
from tastemaker.base.errors import UserError
from tastemaker.cli import subset as verb
from tastemaker.data.comparison import Comparison
from tastemaker.data.importing import import_data
from tastemaker.data.store import ImageStore, read_comparisons
from tastemaker.rank import layouts
from tastemaker.rank import subset as exporting
from tastemaker.rank.pairs import write_pairs
from tastemaker.rank.ranking import Cut, rank, read_pairs
from tastemaker.rank.subset import cuts, subset
from tastemaker.score.runner import score

REDS = [20, 40, 60, 90]  # ψ of `RedScorer` without prompts: 0.2, 0.4, 0.6, 0.9
PAIRS = [
    Comparison("d", "cat", sha(40), sha(60), "b", model_a="one", model_b="two"),  # 0.6 · (1 − 0.4) = 0.36
    Comparison("a", "cat", sha(90), sha(20), "a"),  # 0.9 · (1 − 0.2) = 0.72
    Comparison("c", "dog", sha(20), sha(90), "a"),  # 0.2 · (1 − 0.9) = 0.02
    Comparison("b", "dog", sha(60), sha(20), "a"),  # 0.6 · (1 − 0.2) = 0.48
    Comparison("e", "cat", sha(20), sha(40), "tie"),
]
SINGLES = [
    Comparison("x", "cat", sha(90), None, "liked", model_a="one"),  # 0.9
    Comparison("y", "dog", sha(20), None, "disliked", model_a="two"),  # 0.8
    Comparison("z", "dog", sha(40), None, "liked"),  # 0.4
]
BOTH: tuple[layouts.Format, ...] = ("pickapic", "preference")


def make(folder: Path, comparisons: list[Comparison], cut: Cut | None = None) -> tuple[Path, Path]:
    """RANKED and DATA."""
    data = write_data(folder / "data", comparisons, [png(red) for red in REDS])
    score(data, RedScorer(uses_prompt=False))
    rank(data, "red", folder / "ranked", cut or Cut(count=3))
    return folder / "ranked", data


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    return make(tmp_path, PAIRS)


def rows(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_pickapic_by_hand(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """a, b, d by Q; of the three two are of the cat; only d's images have a model."""
    said = subset(*inputs, tmp_path / "out")
    assert (said["rows"], said["prompts"], said["images"], said["shards"], said["kind"]) == (3, 2, 4, 1, "pairs")
    table = pq.read_table(tmp_path / "out/pickapic/train-00000-of-00001.parquet")
    assert table.schema.names[: len(SCHEMA.names)] == SCHEMA.names
    assert [table.schema.field(name).type for name in SCHEMA.names] == SCHEMA.types
    first, _, third = table.to_pylist()
    assert [row["pair_id"] for row in table.to_pylist()] == ["a", "b", "d"]
    assert {name: first[name] for name in ("caption", "best_image_uid", "image_0_uid", "image_1_uid")} == {
        "caption": "cat", "best_image_uid": sha(90), "image_0_uid": sha(90), "image_1_uid": sha(20),
    }  # fmt: skip
    assert (first["jpg_0"], first["jpg_1"]) == (png(90), png(20))
    assert (first["label_0"], first["label_1"], first["has_label"], first["are_different"]) == (1.0, 0.0, True, True)
    assert (first["num_example_per_prompt"], table["num_example_per_prompt"].to_pylist()) == (2, [2, 1, 2])
    assert (first["psi_winner"], first["psi_loser"]) == pytest.approx((0.9, 0.2))
    assert (first["quality"], first["strength"]) == pytest.approx((0.72, 1.0))
    assert (third["model_0"], third["model_1"], first["model_0"]) == ("two", "one", None)
    unknown = ("created_at", "image_0_url", "image_1_url", "user_id", "ranking_id", "__index_level_0__")
    assert all(table[name].null_count == 3 for name in unknown)


def test_preference_has_images_as_the_datasets_library_wants_them(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The features of datasets 5.2: an `Image` is {bytes, path}, a number a `Value` of a dtype."""
    subset(*inputs, tmp_path / "out", ["preference"])
    table = pq.read_table(tmp_path / "out/preference/train-00000-of-00001.parquet")
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == table.column_names
    assert features["chosen"] == features["rejected"] == {"_type": "Image"}
    assert features["prompt"] == {"dtype": "string", "_type": "Value"}
    assert features["quality"] == {"dtype": "float32", "_type": "Value"}
    assert table.schema.field("chosen").type == pa.struct({"bytes": pa.binary(), "path": pa.string()})
    row = table.to_pylist()[1]
    assert (row["prompt"], row["chosen"]["bytes"], row["rejected"]["bytes"]) == ("dog", png(60), png(20))
    assert Image.open(io.BytesIO(row["chosen"]["bytes"])).getpixel((0, 0)) == (60, 0, 0)


def test_what_is_imported_again_are_the_same_pairs(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    ranked, data = inputs
    subset(ranked, data, tmp_path / "out", BOTH)
    import_data(str(tmp_path / "out/pickapic"), tmp_path / "again")
    again = read_comparisons(tmp_path / "again")
    assert [(one.prompt, one.image_a, one.image_b) for one in again] == [
        (pair.prompt, pair.winner, pair.loser) for pair in read_pairs(ranked)
    ]
    assert {one.label for one in again} == {"a"}
    before, after = ImageStore(data), ImageStore(tmp_path / "again")
    assert all(before.read(name) == after.read(name) for name in after.shas)
    assert len(after) == 4


def test_single_images_are_written_with_their_verdict(tmp_path: Path) -> None:
    ranked, data = make(tmp_path, SINGLES)
    said = subset(ranked, data, tmp_path / "out", BOTH)
    first, second, third = rows(tmp_path / "out/pickapic")
    assert (first["liked"], first["jpg"], first["model"], first["image_uid"]) == (True, png(90), "one", sha(90))
    assert (second["liked"], second["jpg"], second["model"], second["psi_winner"]) == (False, png(20), "two", None)
    assert (third["liked"], third["model"], said["kind"]) == (True, None, "images")
    assert [(row["label"], row["image"]["bytes"]) for row in rows(tmp_path / "out/preference")] == [
        (True, png(90)), (False, png(20)), (True, png(40)),
    ]  # fmt: skip
    for form in BOTH:
        import_data(str(tmp_path / "out" / form), tmp_path / f"again-{form}")
        again = read_comparisons(tmp_path / f"again-{form}")
        assert [(one.prompt, one.image_a, one.image_b, one.label) for one in again] == [
            ("cat", sha(90), None, "liked"), ("dog", sha(20), None, "disliked"), ("dog", sha(40), None, "liked"),
        ]  # fmt: skip


def test_columns_that_a_ranking_has_more_are_carried_over(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    ranked, data = inputs
    table = pq.read_table(ranked / "pairs.parquet")
    more = table.append_column("origin", pa.array(["label", "swapped", "label"]))
    write_pairs(ranked / "pairs.parquet", more.append_column("nested", pa.array([[1], [2], []])), {"scorer": "red@1"})
    subset(ranked, data, tmp_path / "out")
    assert [row["origin"] for row in rows(tmp_path / "out/pickapic")] == ["label", "swapped", "label"]
    assert "nested" not in rows(tmp_path / "out/pickapic")[0]


def test_cuts_by_hand() -> None:
    """At most 10 bytes and 3 rows: 4 + 6, then 11 alone, then three of 1, then the last."""
    sizes = np.array([4, 6, 11, 1, 1, 1, 1])
    assert list(cuts(sizes, 10, 3)) == [slice(0, 2), slice(2, 3), slice(3, 6), slice(6, 7)]
    assert list(cuts(sizes[:0], 10, 3)) == []


def test_shards_hold_their_bytes_in_training_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven pairs, two small images each, in shards of at most five images' bytes: two pairs a shard."""
    reds = list(range(20, 100, 5))
    comparisons = [Comparison(f"{n:02d}", "cat", sha(reds[n]), sha(reds[n + 4]), "b") for n in range(11)]
    data = write_data(tmp_path / "data", comparisons, [png(red) for red in reds])
    score(data, RedScorer(uses_prompt=False))
    rank(data, "red", tmp_path / "ranked", Cut(order="random"))
    monkeypatch.setattr(exporting, "SHARD_BYTES", 5 * max(len(png(red)) for red in reds))
    monkeypatch.setattr(exporting, "GROUP_IMAGES", 1)
    said = subset(tmp_path / "ranked", data, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out/pickapic").iterdir())
    assert names == [f"train-{n:05d}-of-00006.parquet" for n in range(6)]
    assert said["shards"] == 6
    assert [row["pair_id"] for row in rows(tmp_path / "out/pickapic")] == [
        pair.pair_id for pair in read_pairs(tmp_path / "ranked")
    ]
    assert pq.ParquetFile(tmp_path / "out/pickapic" / names[0]).num_row_groups == 2


def test_the_same_inputs_give_the_same_bytes_and_a_finished_one_is_left_alone(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        first = subset(*inputs, Path("out"), BOTH)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    stamp = Path("out/README.md").stat().st_mtime_ns
    assert subset(*inputs, Path("out"), tuple(reversed(BOTH))) == first
    assert Path("out/README.md").stat().st_mtime_ns == stamp
    with pytest.raises(UserError, match="other inputs or settings; choose another --out"):
        subset(*inputs, Path("out"), BOTH, license="mit")


def test_a_stopped_export_goes_on(inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the second format: the first is whole and stays, of the second nothing is seen."""
    out, fill = tmp_path / "out", layouts.fill

    def stop(form: layouts.Format, *rest: object) -> pa.Table:
        if form == "preference":
            raise RuntimeError("stopped")
        return fill(form, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(layouts, "fill", stop)
    with pytest.raises(RuntimeError, match="stopped"):
        subset(*inputs, out, BOTH)
    assert sorted(path.name for path in out.iterdir()) == [".lock", "pickapic", "unfinished.json"]
    written = next((out / "pickapic").iterdir()).stat().st_mtime_ns
    with pytest.raises(UserError, match="a stopped export of other inputs"):
        subset(*inputs, out, BOTH, license="mit")
    monkeypatch.undo()
    subset(*inputs, out, BOTH)
    assert sorted(path.name for path in out.iterdir()) == [
        ".lock", "README.md", "pickapic", "preference", "summary.json",
    ]  # fmt: skip
    assert next((out / "pickapic").iterdir()).stat().st_mtime_ns == written
    assert len(rows(out / "preference")) == 3


def test_what_is_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    ranked, data = inputs
    other = write_data(tmp_path / "other", PAIRS, [png(red) for red in (20, 40, 60)])
    (tmp_path / "full/pickapic").mkdir(parents=True)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/pairs.parquet").write_bytes(b"PAR1 half")
    cases = [
        ((ranked, other, tmp_path / "a"), f"other: has no image {sha(90)} of pair a; give the --data that .*ranked"),
        ((ranked, tmp_path / "none", tmp_path / "a"), r"none/comparisons\.parquet: no such file; make it with"),
        (
            (tmp_path / "none", data, tmp_path / "a"),
            r"none/pairs\.parquet: no such file; make it with: tastemaker rank",
        ),
        ((tmp_path / "cut", data, tmp_path / "a"), r"cut/pairs\.parquet: not readable as ranked pairs"),
        ((ranked, data, tmp_path / "full"), "full/pickapic: is in the way; choose another --out"),
        ((ranked, data, ranked), "ranked: holds the output of other inputs or settings; choose another --out"),
        ((ranked, data, tmp_path / "a", ["zip"]), "--format zip: say pickapic or preference"),
        ((ranked, data, tmp_path / "a", []), "no format given; say --format pickapic or preference"),
    ]
    for given, message in cases:
        with pytest.raises(UserError, match=message):
            subset(*given)
    assert not any(path.suffix for path in (tmp_path / "a").glob("[!.]*"))


def test_the_verb_shows_the_summary(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb.run(inputs[0], data=inputs[1], out=tmp_path / "out", license="cc-by-4.0")
    said = capsys.readouterr().out
    assert re.search(r"^license +cc-by-4\.0$", said, re.MULTILINE)
    written = json.loads((tmp_path / "out/summary.json").read_text())
    assert (written["verb"], written["rows"], written["license"]) == ("subset", 3, "cc-by-4.0")
    assert written["image_bytes"] == sum(len(png(red)) for red in REDS)
