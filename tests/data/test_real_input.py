"""All the odd things at once, in a process of its own whose peak memory is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import pictures
from support.pictures import jpeg, reasons, row, write_pickapic
from tastemaker.base.files import sha256_bytes
from tastemaker.data.store import ImageStore, read_comparisons

MEBIBYTE = 1 << 20
SCRIPT = """
import resource, sys
from pathlib import Path
from tastemaker.data.importing import import_data
import_data(sys.argv[1], Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def import_and_measure(source: Path, out: Path) -> int:
    """Import in a new process; its peak memory in MiB (Linux counts ru_maxrss in KiB)."""
    command = [sys.executable, "-c", SCRIPT, str(source), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return int(done.stdout) // 1024


X, Y = jpeg(1), jpeg(2)
KEPT = {
    "win": row("win", X, Y, 1.0),
    "loss": row("loss", X, Y, 0.0),
    "tie": row("tie", X, Y, 0.5),
    "png in a jpg column": row("wrong", pictures.encoded(pictures.noise(3)), X),
    "cmyk": row("cmyk", pictures.cmyk(9, 80, 200, 3), X),
    "16 bit": row("deep", pictures.deep(4711), X),
    "palette": row("palette", pictures.palette_with_alpha(), X),
    "rotated": row("rotated", pictures.rotated(), X),
    "animated": row("animated", pictures.animated(), X),
    "emoji": row("👩‍👩‍👧 painting a 🐈", X, Y),
    "right to left": row("\u202bחתול ציור قطة\u202c", X, Y),
    "10 kB": row("very " * 2000 + "long", X, Y),
    "contradiction": row("win", Y, X, 1.0, user_id=2),
}
REFUSED = {
    "unlabelled": row("p", X, Y, 1.0, has_label=False),
    "repeat_swapped": row("win", Y, X, 0.0),
    "image_damaged": row("p", pictures.truncated(), Y),
    "image_too_many_pixels": row("p", X, pictures.bomb()),
    "image_unknown_format": row("p", b"<html>404</html>", Y),
    "prompt_control_characters": row("a\0b", X, Y),
    "prompt_empty": row("", X, Y),
    "same_image": row("p", X, X),
}


def test_odd_input(tmp_path: Path) -> None:
    source = write_pickapic(tmp_path / "in.parquet", [*KEPT.values(), *REFUSED.values()])
    assert import_and_measure(source, tmp_path / "data") < 400
    assert reasons(tmp_path / "data") == list(enumerate(REFUSED, len(KEPT)))
    found = read_comparisons(tmp_path / "data")
    assert [c.prompt for c in found] == [known["caption"] for known in KEPT.values()]
    assert Counter(c.label for c in found) == {"a": 11, "b": 1, "tie": 1}
    images = ImageStore(tmp_path / "data")
    assert {sha256_bytes(known[name]) for known in KEPT.values() for name in ("jpg_0", "jpg_1")} == images.shas
    summary = json.loads((tmp_path / "data" / "summary.json").read_text())
    assert summary["quarantine"] == dict.fromkeys(sorted(REFUSED), 1)
    assert summary["notes"] == {
        "animated": 1, "cmyk": 1, "deep": 1, "long_prompt": 1, "rotated": 1, "transparent": 1
    }  # fmt: skip
    assert summary["formats"] == {"GIF": 1, "JPEG": 4, "PNG": 3}
    assert (summary["contradicted"], summary["rows"], summary["pairs"]) == (1, len(KEPT) + len(REFUSED), len(KEPT))


@pytest.mark.slow
def test_the_largest_images_that_are_read(tmp_path: Path) -> None:
    """The most memory a decode can need: WebP with alpha, 36 million pixels, two of them at once."""
    options = {"lossless": True, "method": 0, "quality": 0}
    large = [
        pictures.encoded(pictures.Image.new("RGBA", (6000, 6000), (shade, 9, 9, 90)), "WEBP", **options)
        for shade in (1, 2)
    ]
    source = write_pickapic(tmp_path / "in.parquet", [row("large", *large)])
    assert import_and_measure(source, tmp_path / "data") < 1000
    assert len(ImageStore(tmp_path / "data")) == 2


@pytest.mark.slow
def test_one_row_group_of_a_gigabyte(tmp_path: Path) -> None:
    """Pick-a-Pic's files have row groups that must not be read whole."""
    source = tmp_path / "in.parquet"
    write_row_group(source, rows=500, size=MEBIBYTE)
    assert source.stat().st_size > 1000 * MEBIBYTE
    assert import_and_measure(source, tmp_path / "data") < 500
    assert len(read_comparisons(tmp_path / "data")) == 500


def write_row_group(path: Path, rows: int, size: int) -> None:
    """Small JPEGs with ``size`` bytes behind their end."""
    numbers = np.random.default_rng(0)

    def padded(seed: int) -> bytes:
        return jpeg(seed) + numbers.bytes(size)

    columns: dict[str, Any] = {
        "caption": [f"p{i}" for i in range(rows)],
        "jpg_0": pa.array((padded(i) for i in range(rows)), pa.binary()),
        "jpg_1": pa.array((padded(rows + i) for i in range(rows)), pa.binary()),
        "label_0": [1.0] * rows,
    }
    pq.write_table(pa.table(columns), path, row_group_size=rows, compression="none")
