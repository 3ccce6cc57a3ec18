"""Images, ranked pairs and a stand-in for a model, for tests of what is encoded."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

RESOLUTION, FACTOR = 32, 4


def png(number: int, height: int = 40, width: int = 50) -> bytes:
    """An image of noise."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def rank(folder: Path, pairs: list[tuple[str | None, str | None, str]], prefix: str = "id") -> list[Any]:
    """Write (winner, loser, prompt) as ranked pairs ``<prefix>-0``, … to ``folder`` and return them."""
    import pyarrow as pa

    from tastemaker.base.files import sha256_text
    from tastemaker.rank.pairs import NAME, SCHEMA, read_pairs, write_pairs

    rows = [
        {"pair_id": f"{prefix}-{n}", "prompt": prompt, "prompt_sha": sha256_text(prompt)}
        | {"winner": winner, "loser": loser}
        | {"strength": 1.0, "psi_winner": 0.5, "psi_loser": 0.5, "quality": 0.25}
        for n, (winner, loser, prompt) in enumerate(pairs)
    ]
    folder.mkdir()
    write_pairs(folder / NAME, pa.Table.from_pylist(rows, schema=SCHEMA), {})
    return read_pairs(folder)


def content(folder: Path) -> dict[str, bytes]:
    """Bytes of every file but the summary, which holds a clock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("summary.json", ".lock")}


class FakeModel:
    """Encoders that can be recomputed by hand: latents are means over 4 × 4 pixels, a prompt's numbers its length's."""

    resolution = RESOLUTION
    scaling_factor = 1.0

    def latent_shape(self, resolution: int) -> tuple[int, int, int]:
        return 3, resolution // FACTOR, resolution // FACTOR

    def encode(self, pixels: Any) -> Any:
        import torch

        from tastemaker.backbone.backbone import Moments

        mean = torch.nn.functional.avg_pool2d(pixels, FACTOR)
        return Moments(mean, torch.full_like(mean, 0.5))

    def condition(self, prompts: list[str]) -> dict[str, Any]:
        """Several tensors, as SDXL and SD3 have, and one of whole numbers."""
        import torch

        lengths = torch.tensor([len(prompt) for prompt in prompts])
        embeds = lengths[:, None, None] / 3 + torch.arange(10).reshape(5, 2) / 7
        return {"embeds": embeds, "pooled": lengths[:, None] / 3 + torch.arange(4) / 9, "tokens": lengths}
