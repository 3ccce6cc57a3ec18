"""Distances between images: numbers by hand, the pairs, drift, and resuming."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tastemaker.evaluate import diversity
from tastemaker.evaluate.diversity import cosine, drift, of_embeddings, of_pixels, pixels, rms, spread
from tastemaker.evaluate.journal import Journal


def grey(*shades: int, side: int = 2) -> np.ndarray:
    return pixels(Image.new("RGB", (side, side), (shade,) * 3) for shade in shades)


def drawn(folder: Path, shades: list[list[int]], side: int = 2) -> Path:
    """An IMAGES folder of grey images [prompt][sample]."""
    folder.mkdir()
    rows = []
    for prompt, samples in enumerate(shades):
        for sample, shade in enumerate(samples):
            buffer = io.BytesIO()
            Image.new("RGB", (side, side), (shade,) * 3).save(buffer, "png")
            rows.append({"prompt_index": prompt, "prompt": f"p{prompt}", "sample": sample, "png": buffer.getvalue()})
    pq.write_table(pa.Table.from_pylist(rows), folder / "images.parquet")
    return folder


def test_root_mean_square_by_hand() -> None:
    """Half of the pixels differ by 1: √½. Black from white: 1."""
    half = np.array([[0.0, 0.0, 1.0, 1.0]], np.float32)
    assert rms(half, np.zeros((1, 4), np.float32)) == pytest.approx([np.sqrt(0.5)])
    assert rms(grey(0), grey(255)) == pytest.approx([1.0])


def test_cosine_by_hand() -> None:
    """Equal 0, at right angles 1, opposite 2."""
    east, north = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    assert cosine(np.concatenate([east, north, -east]), east) == pytest.approx([0, 1, 2])


def test_spread_is_the_mean_over_pairs() -> None:
    """Shades 0, 51, 153 are 0.2, 0.6 and 0.4 apart: mean 0.4."""
    assert spread(grey(0, 51, 153), rms) == pytest.approx(0.4)
    assert np.isnan(spread(grey(7), rms))
    assert spread(grey(9, 9, 9, 9), rms) == 0


def test_spread_by_every_pair_written_out_and_in_any_order() -> None:
    features = np.random.default_rng(0).random((6, 3, 4), np.float32)
    pairs = [np.sqrt(np.mean((a - b) ** 2)) for a, b in itertools.combinations(features, 2)]
    assert spread(features, rms) == pytest.approx(np.mean(pairs))
    assert spread(features[::-1], rms) == pytest.approx(spread(features, rms))


def test_drift_pairs_image_with_image() -> None:
    """51 → 102 and 153 → 153: (0.2 + 0)/2; swapping the base's images changes it: (0.4 + 0.2)/2."""
    assert drift(grey(51, 153), grey(102, 153), rms) == pytest.approx(0.1)
    assert drift(grey(51, 153), grey(153, 102), rms) == pytest.approx(0.3)


def test_drift_between_sizes_is_unknown() -> None:
    assert np.isnan(drift(grey(51), grey(51, side=4), rms))


def test_folders_by_pixels_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompt by prompt, as by hand; a journal that holds one prompt goes on with the second and ends the same."""
    base = drawn(tmp_path / "base", [[0, 51], [0, 0], [255, 0]])
    tuned = drawn(tmp_path / "tuned", [[0, 0], [51, 51], [0, 0]])
    spreads, drifts = of_pixels(tuned, base, 2, Journal(tmp_path / "whole"))
    np.testing.assert_allclose(spreads, [0, 0, 0])
    np.testing.assert_allclose(drifts, [0.1, 0.2, 0.5], rtol=1e-6)
    monkeypatch.setattr(diversity, "CHUNK", 1)
    begun = Journal(tmp_path / "begun")
    begun.append(pa.table({"spread": [0.25], "drift": [0.75]}))
    resumed = of_pixels(tuned, base, 2, begun)
    np.testing.assert_allclose(resumed, [[0.25, 0, 0], [0.75, 0.2, 0.5]], rtol=1e-6)
    assert begun.rows == 3
    own, none = of_pixels(base, None, 2, Journal(tmp_path / "own"))
    np.testing.assert_allclose(own, [0.2, 0, 1], rtol=1e-6)
    assert np.isnan(none).all()


def test_embeddings_as_pixels() -> None:
    """Two prompts of two samples: right angles in the first, equal in the second; the base is all east."""
    east, north = [1.0, 0.0], [0.0, 1.0]
    tuned, base = (np.array(rows, np.float32) for rows in ([east, north, north, north], [east] * 4))
    spreads, drifts = of_embeddings(tuned, base, 2)
    np.testing.assert_allclose(spreads, [1, 0])
    np.testing.assert_allclose(drifts, [0.5, 1])
    assert np.isnan(of_embeddings(tuned, None, 2)[1]).all()
    assert np.isnan(of_embeddings(tuned, base, 1)[0]).all()
