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

SCRIPT = r"""
import re, sys
from pathlib import Path
from tastemaker.data.importing import import_data
import_data(sys.argv[1], Path(sys.argv[2]))
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def import_and_measure(source: Path, out: Path) -> int:
    """Import in a new process; its peak memory in MiB (getrusage would count this process's own peak, too)."""
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
def test_a_row_group_as_large_as_those_of_pick_a_pic(tmp_path: Path) -> None:
    """1000 rows a group, 175 kB an image, one page for all of them: that is how Arrow has written v2's files."""
    source = tmp_path / "in.parquet"
    write_row_groups(source, rows=2000, size=175_000, names=("caption", "jpg_0", "jpg_1", "label_0"))
    assert pq.ParquetFile(source).num_row_groups == 2
    assert import_and_measure(source, tmp_path / "data") < 1000
    assert len(read_comparisons(tmp_path / "data")) == 2000


@pytest.mark.slow
def test_a_row_group_as_large_as_those_of_rapidata(tmp_path: Path) -> None:
    """Its largest set has 700 MB of images in 1000 rows."""
    source = tmp_path / "in.parquet"
    names = ("prompt", "image1", "image2", "weighted_results_image1_preference")
    write_row_groups(source, rows=1000, size=350_000, names=names, other="weighted_results_image2_preference")
    assert import_and_measure(source, tmp_path / "data") < 2000
    assert len(read_comparisons(tmp_path / "data")) == 1000


def write_row_groups(path: Path, rows: int, size: int, names: tuple[str, str, str, str], other: str = "") -> None:
    """Small JPEGs with ``size`` bytes behind their end; ``names`` of prompt, images and what the first image got."""
    numbers = np.random.default_rng(0)
    kinds = dict(zip(names, (pa.string(), pa.binary(), pa.binary(), pa.float64()), strict=True))
    schema = pa.schema(kinds | ({other: pa.float64()} if other else {}))
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 1000):
            first, second = (
                [jpeg(2 * i + k) + numbers.bytes(size) for i in range(start, start + 1000)] for k in (0, 1)
            )
            cells = (["p"] * 1000, first, second, [1.0] * 1000, [0.0] * 1000)
            columns: dict[str, Any] = dict(zip(schema.names, cells, strict=False))
            writer.write_table(pa.table(columns, schema), row_group_size=1000)
