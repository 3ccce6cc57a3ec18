"""Sources of images that are judged alone: written, imported, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.pictures import encoded, jpeg, noise
from tastemaker.data.importing import import_data
from tastemaker.data.store import read_comparisons

X, Y, Z = jpeg(1), jpeg(2), encoded(noise(3))


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def write_table(root: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    return write(root, {name: "".join(json.dumps(row) + "\n" for row in rows)})


def run(root: Path, **options: Any) -> dict[str, Any]:
    return import_data(str(root), root.parent / "data", **options)


def found(root: Path) -> list[tuple[str, str, str | None, str]]:
    comparisons = read_comparisons(root.parent / "data")
    return [(one.prompt, one.image_a, one.image_b, one.label) for one in comparisons]
