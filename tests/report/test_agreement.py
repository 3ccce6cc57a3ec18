"""Whether scorers agree: keys that meet, ρ by hand, what is drawn, counted and left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure as Canvas

from tastemaker.base.errors import UserError
from tastemaker.base.files import write_json
from tastemaker.report import agreement, scatter
from tastemaker.report.agreement import Raw, read, sample, section, spearman, table
from tastemaker.score.scores import scores_folder, write_scores


def write(data: Path, scorer: str, raw: dict[str, float]) -> None:
    """Finished scores of the images ``raw`` for one prompt."""
    folder = scores_folder(data, scorer)
    folder.mkdir(parents=True)
    columns = {"sha": list(raw), "prompt_sha": ["p"] * len(raw), "raw": pa.array(raw.values(), pa.float32())}
    write_scores(folder / "scores.parquet", scorer, "identity", pa.table(columns))
    write_json(folder / "summary.json", {"scorer": scorer})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path, "one@1", {"a": 1, "b": 2, "c": 3, "d": 4})
    write(tmp_path, "two@1", {"d": 40, "c": 30, "b": 10, "e": 5})
    return tmp_path


def test_spearman_by_hand() -> None:
    """Ranks 1 2 3 4 and 1 2 4 3: 1 − 6 · (1 + 1) / (4 · 15) = 0.8; a tie has the mean rank; constants have no ρ."""
    assert spearman(np.array([[1, 2, 3, 4], [10, 20, 500, 30]])) == pytest.approx(0.8)
    assert spearman(np.array([[1, 2, 3, 4], [9, 7, 5, 3]])) == pytest.approx(-1)
    ranks = np.array([[1.5, 1.5, 3.0], [1.0, 2.0, 3.0]])
    assert spearman(np.array([[5, 5, 6], [1, 2, 3]])) == pytest.approx(np.corrcoef(ranks)[0, 1])
    assert np.isnan(spearman(np.array([[1, 2], [3, 3]])))
    assert np.isnan(spearman(np.zeros((2, 1))))


def test_the_same_image_and_prompt_meet(data: Path) -> None:
    """a is of the first alone, e of the second; the file's order does not matter."""
    raw = read(data, ["one@1", "two@1"])
    assert raw.both(0, 1).tolist() == [[2, 3, 4], [10, 30, 40]]
    assert (raw.names, raw.of, raw.left_out) == (("one", "two"), 4, ())
    found = table(raw)
    assert found.rows == (("one", "1", "+1.00"), ("two", "+1.00", "1"))
    assert "of 3 (image, prompt) that both scored; all 4 that there are." in found.caption


def test_revisions_are_named_where_they_tell_apart() -> None:
    assert Raw(("a@1", "a@2", "b@1"), np.zeros((3, 1)), 1, ()).names == ("a@1", "a@2", "b")


def test_only_several_finished_scorers_have_a_section(data: Path, tmp_path: Path) -> None:
    found = section(data, ["two@1", "gone@1"])
    assert found is not None
    figure, rows = found.parts
    assert rows.head == ("ρ", "two", "one")
    assert figure.data["x"] == [10, 30, 40]
    alone = tmp_path / "alone"
    write(alone, "one@1", {"a": 1})
    assert section(alone) is None
    assert section(tmp_path / "nothing") is None


def test_no_more_scorers_than_fit_and_the_rest_is_named(tmp_path: Path) -> None:
    for letter in "abcdefgh":
        write(tmp_path, f"{letter}@1", {"x": ord(letter), "y": 5, "z": 7})
    found = section(tmp_path, ["h@1"])
    assert found is not None
    figure, rows = found.parts
    assert rows.head == ("ρ", "h", "a", "b", "c", "d", "e")
    assert rows.caption.endswith("Left out: f@1, g@1.")
    assert "Only in the table: d, e." in figure.caption
    assert len(figure.data["x"]) == 6 * 3


def test_many_keys_are_drawn_by_the_seed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "KEYS", 3)
    raw = read(data, ["one@1", "two@1"])
    assert raw.values.shape == (2, 3)
    assert raw.drawn == "3 of 4, drawn with seed 0"
    assert sample(10, 10).tolist() == list(range(10))
    few = sample(1000, 10)
    assert few.tolist() == sample(1000, 10).tolist() == sorted(set(few.tolist()))


def test_hexagons_hold_every_point() -> None:
    """Counts are those of the points, and what is drawn has one cell for each centre."""
    points = np.random.default_rng(0).normal(size=(2, 5000))
    centres, count, extent = scatter.binned(*points)
    assert count.sum() == 5000
    assert count.min() >= 1
    assert centres.shape == (2, len(count))
    axes = Canvas().subplots()
    scatter._hexagons(axes, centres, count, extent)
    (drawn,) = axes.collections
    np.testing.assert_allclose(np.asarray(drawn.get_offsets()).T, centres)
    assert len(drawn.get_facecolor()) == len(count)
    figure = scatter.scatter(Raw(("a@1", "b@1"), points, 5000, ()))
    assert sum(figure.data["count"]) == 5000
    assert "fuller a hexagon" in figure.caption


def test_the_fullest_hexagon_is_opaque() -> None:
    """Four hundred points at one place and one elsewhere: log 2 / log 401 = 0.116 of the way from 0.12 to 1."""
    points = np.array([[0.0] * 400 + [1.0], [0.0] * 400 + [1.0]])
    figure = scatter.scatter(Raw(("a@1", "b@1"), points, 401, ()))
    assert sorted(figure.data["count"]) == [1, 400]
    assert "fill-opacity: 0.22" in figure.wide


def test_few_points_are_dots_with_their_own_numbers() -> None:
    points = np.array([[1.0, 2.0, np.nan], [3.0, 5.0, 4.0]])
    figure = scatter.scatter(Raw(("a@1", "b@1"), points, 3, ()))
    assert figure.data == {"x_scorer": ["a"] * 2, "y_scorer": ["b"] * 2, "x": [1, 2], "y": [3, 5], "count": [1, 1]}
    assert "hexagon" not in figure.caption
    assert "ρ +1.00" in figure.wide


def test_scorers_that_share_nothing_or_never_differ_are_drawn() -> None:
    apart = np.array([[1.0, np.nan], [np.nan, 2.0]])
    assert "ρ –" in scatter.scatter(Raw(("a@1", "b@1"), apart, 2, ())).wide
    same = np.ones((2, scatter.DOTS + 1))
    assert scatter.scatter(Raw(("a@1", "b@1"), same, same.shape[1], ())).data["count"] == [same.shape[1]]


def test_damaged_scores_are_named(data: Path) -> None:
    path = scores_folder(data, "two@1") / "scores.parquet"
    path.write_bytes(b"PAR1 half")
    with pytest.raises(UserError, match=r"two@1/scores\.parquet: not readable as scores .* score again"):
        section(data)
