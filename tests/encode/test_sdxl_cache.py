"""A tiny SDXL: what the cache gives is all that its denoiser reads, in every bucket."""

from __future__ import annotations

import torch

from support.encoding import png, rank
from support.models import save_tiny_sdxl
from tastemaker.backbone.load import load
from tastemaker.base.files import sha256_text
from tastemaker.data.store import write_images
from tastemaker.encode.cache import EMPTY, Cache
from tastemaker.encode.encoding import encode

PROMPT = "a red circle"
SIZES = [(36, 60), (33, 60), (60, 36), (50, 50)]


def test_the_denoiser_reads_what_the_cache_gives(tmp_path):
    model = save_tiny_sdxl(tmp_path / "model")
    shas = write_images(tmp_path / "data", [png(number, *size) for number, size in enumerate(SIZES)])
    pairs = rank(tmp_path / "ranked", [(shas[0], shas[1], PROMPT), (shas[2], None, PROMPT), (shas[3], shas[2], PROMPT)])
    encode([tmp_path / "ranked"], tmp_path / "data", str(model), tmp_path / "out", buckets=True)
    backbone, cache = load(model), Cache(tmp_path / "out")
    said, found = backbone.condition([PROMPT, ""]), cache.condition([sha256_text(PROMPT), EMPTY])
    assert set(found) == set(said) == {"embeds", "pooled"}
    for name, rows in said.items():
        torch.testing.assert_close(found[name], rows, rtol=1e-4, atol=1e-5)
    assert [cache.shape_of(pair)[1:] for pair in pairs] == [(6, 10), (10, 6), (8, 8)]
    for pair in pairs:
        keys = [key for key in cache.images_of(pair) if key is not None]
        condition = cache.condition([pair.prompt_sha] * len(keys)) | {"time_ids": cache.time_ids(keys)}
        mean, t = cache.moments(keys).mean, torch.full((len(keys),), 500)
        assert mean.shape == (len(keys), *cache.shape_of(pair))
        output = backbone.forward(mean, t, condition).output
        assert output.shape == mean.shape
        other = backbone.forward(mean, t, condition | {"time_ids": condition["time_ids"] + 9}).output
        assert not torch.allclose(output, other), "sizes and crops are not read"
