"""A cache of buckets, unpaired images, several tensors a prompt and their number formats, with a stand-in model."""

from __future__ import annotations

import json

import pytest
import torch

from support.encoding import FakeModel, content, png, rank
from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_text
from tastemaker.data.images import decode, to_pixels
from tastemaker.data.store import ImageStore, write_images
from tastemaker.encode.cache import EMPTY, Cache, missing_images
from tastemaker.encode.encoding import encode

PROMPT = "a red circle"
SIZES = [(40, 50), (60, 36), (36, 60), (33, 60), (50, 50)]
"""Of the images 0, …: aspects 1.25, 0.6, 1.667, 1.818 and 1, for buckets of 0.6, 1 and 1.667."""
PAIRS = [(2, 3), (1, 2), (1, None), (None, 0), (4, 4), (0, 3)]
BUCKETS = [(24, 40), (32, 32), (40, 24), (32, 32), (32, 32), (24, 40)]
"""Of the pairs. √(1.667 · 1.818), √(0.6 · 1.667), 0.6, 1.25, 1, √(1.25 · 1.818) = 1.51; the logarithms meet at 1.29."""


@pytest.fixture
def fake(monkeypatch):
    """Encode with `FakeModel`, which is returned so that a test can change it."""
    model = FakeModel()
    monkeypatch.setattr("tastemaker.backbone.load.load", lambda *_, **__: model)
    monkeypatch.setattr("tastemaker.backbone.load.identity", lambda *_: "fake@1")
    return model


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(data folder, ranked folder, hashes, pairs)."""
    folder = tmp_path_factory.mktemp("world")
    shas = write_images(folder / "data", [png(number, *size) for number, size in enumerate(SIZES)])
    sides = [tuple(None if number is None else shas[number] for number in pair) for pair in PAIRS]
    pairs = rank(folder / "ranked", [(*pair, PROMPT) for pair in sides])
    return folder / "data", folder / "ranked", shas, pairs


def run(world, out, **settings):
    return encode([world[1]], world[0], "fake", out, **{"shard_rows": 2, "batch_size": 2, "buckets": True} | settings)


def key(sha, size):
    return sha if size == (32, 32) else f"{sha}@{size[0]}x{size[1]}"


def test_both_images_of_a_pair_are_cut_to_its_bucket(fake, world, tmp_path):
    summary, cache = run(world, tmp_path / "out"), Cache(tmp_path / "out")
    index = read_json(tmp_path / "out" / "cache.json")
    assert index["buckets"] == {pair.pair_id: list(size) for pair, size in zip(world[3], BUCKETS, strict=True)}
    data = dict(ImageStore(world[0]).read_many(world[2]))
    for pair, size in zip(world[3], BUCKETS, strict=True):
        sides = [sha and key(sha, size) for sha in (pair.winner, pair.loser)]
        assert cache.images_of(pair) == tuple(sides)
        assert cache.shape_of(pair) == (3, size[0] // 4, size[1] // 4)
        for sha, name in zip((pair.winner, pair.loser), sides, strict=True):
            if sha is not None:
                moments = cache.moments([name])
                pixels = torch.from_numpy(to_pixels(decode(data[sha]), *size))[None]
                torch.testing.assert_close(moments.mean, torch.nn.functional.avg_pool2d(pixels, 4))
                assert moments.std.shape == (1, *cache.shape_of(pair))
    assert summary["images"] == 5
    assert summary["buckets"] == {"24x40": 3, "32x32": 4, "40x24": 1}
    assert set(index["images"]) == {
        *(f"{world[2][n]}@24x40" for n in (0, 2, 3)), *(world[2][n] for n in (0, 1, 2, 4)), f"{world[2][1]}@40x24",
    }  # fmt: skip


def test_a_shard_holds_one_shape_and_every_row_has_its_geometry(fake, world, tmp_path):
    run(world, tmp_path / "out")
    index = read_json(tmp_path / "out" / "cache.json")
    cache, shapes = Cache(tmp_path / "out"), {}
    for name, (shard, _) in index["images"].items():
        shapes.setdefault(shard, set()).add(name.partition("@")[2])
    assert [len(found) for _, found in sorted(shapes.items())] == [1] * 5
    found = cache.time_ids([f"{world[2][n]}@24x40" for n in (0, 3)])
    assert found.dtype == torch.float32
    # image 0, 40 × 50, covers 24 × 40 as 32 × 40; image 3, 33 × 60, as 24 × 43.6
    assert found.tolist() == [[40, 50, 4, 0, 24, 40], [33, 60, 0, 2, 24, 40]]
    assert cache.time_ids([world[2][1]]).tolist() == [[60, 36, 11, 0, 32, 32]]  # 53.3 × 32


def test_images_of_several_shapes_do_not_mix(fake, world, tmp_path):
    run(world, tmp_path / "out")
    for read in (Cache(tmp_path / "out").moments, Cache(tmp_path / "out").time_ids):
        with pytest.raises(AssertionError, match="images of one shape"):
            read([world[2][0], f"{world[2][0]}@24x40"])


def test_stopped_in_any_batch_it_ends_in_the_same_bytes(fake, world, tmp_path, monkeypatch):
    run(world, tmp_path / "whole")
    calls, original = [], FakeModel.encode

    def stops(self, pixels):
        calls.append(pixels.shape)
        if len(calls) in (1, 3, 6):
            raise KeyboardInterrupt
        return original(self, pixels)

    monkeypatch.setattr(FakeModel, "encode", stops)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "out")
        assert not (tmp_path / "out" / "cache.json").exists()
    run(world, tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert len(calls) == 5 + 3, "a shard was encoded twice"


def test_the_order_of_pairs_and_folders_does_not_matter(fake, world, tmp_path):
    run(world, tmp_path / "whole")
    sides = [(pair.winner, pair.loser, PROMPT) for pair in world[3]]
    rank(tmp_path / "one", sides)
    rank(tmp_path / "two", [(loser, winner, prompt) for winner, loser, prompt in sides[:3]])
    folders = [tmp_path / "two", tmp_path / "one"]
    encode(folders, world[0], "fake", tmp_path / "out", shard_rows=2, batch_size=2, buckets=True)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_pair_with_other_images_in_another_folder_is_refused(fake, world, tmp_path):
    rank(tmp_path / "other", [(world[2][0], world[2][1], PROMPT)])
    folders = [world[1], tmp_path / "other"]
    with pytest.raises(UserError, match="--buckets: pair id-0 has other images in another of these folders"):
        encode(folders, world[0], "fake", tmp_path / "out", buckets=True)
    encode(folders, world[0], "fake", tmp_path / "out")


def test_a_resolution_without_buckets_is_refused(fake, world, tmp_path):
    with pytest.raises(UserError, match="--buckets: resolution 36 is not a multiple of 8"):
        run(world, tmp_path / "out", resolution=36)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_squares_are_of_the_models_size_and_say_nothing_of_buckets(fake, world, tmp_path):
    summary, cache = run(world, tmp_path / "out", buckets=False), Cache(tmp_path / "out")
    index = read_json(tmp_path / "out" / "cache.json")
    assert "buckets" not in index
    assert "buckets" not in summary
    for pair in world[3]:
        assert cache.images_of(pair) == (pair.winner, pair.loser)
        assert cache.shape_of(pair) == cache.latent_shape == (3, 8, 8)
    assert cache.time_ids(world[2][:2]).tolist() == [[40, 50, 0, 4, 32, 32], [60, 36, 11, 0, 32, 32]]
    assert missing_images(index, world[3]) == []


def test_other_settings_are_refused(fake, world, tmp_path):
    run(world, tmp_path / "out")
    for settings in ({"buckets": False}, {"embeds_dtype": "bfloat16"}):
        with pytest.raises(UserError, match="other inputs or settings"):
            run(world, tmp_path / "out", **settings)


def test_missing_images_are_known_by_key(fake, world, tmp_path):
    run(world, tmp_path / "out")
    index, pairs = read_json(tmp_path / "out" / "cache.json"), world[3]
    assert missing_images(index, pairs) == []
    del index["images"][f"{pairs[0].winner}@24x40"]
    assert missing_images(index, pairs) == [f"{pairs[0].winner}@24x40"]
    del index["buckets"]["id-4"], index["buckets"]["id-2"]
    assert set(missing_images(index, pairs)) == {f"{pairs[0].winner}@24x40", pairs[4].winner, pairs[2].winner}
    (stranger,) = rank(tmp_path / "other", [(world[2][0], None, PROMPT)], prefix="stranger")
    assert missing_images(index, [stranger]) == [world[2][0]], "it is there, but cut for other pairs"
    for ask in (Cache(tmp_path / "out").images_of, Cache(tmp_path / "out").shape_of):
        with pytest.raises(UserError, match="no bucket for pair stranger-0; encode these pairs too"):
            ask(stranger)


def test_every_tensor_of_a_prompt_comes_back(fake, world, tmp_path):
    run(world, tmp_path / "out")
    found, said = Cache(tmp_path / "out").condition([sha256_text(PROMPT), EMPTY]), fake.condition([PROMPT, ""])
    assert set(found) == {"embeds", "pooled", "tokens"}
    for name, rows in said.items():
        torch.testing.assert_close(found[name], rows, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_smaller_format_loses_nothing_that_training_in_it_would_keep(dtype, fake, world, tmp_path):
    """Rounding before storing and rounding after reading are the same rounding; a second one changes nothing."""
    run(world, tmp_path / "small", embeds_dtype=dtype)
    run(world, tmp_path / "large")
    keys, kind = [sha256_text(PROMPT), EMPTY], getattr(torch, dtype)
    small, large = (Cache(tmp_path / name).condition(keys) for name in ("small", "large"))
    for name in ("embeds", "pooled"):
        assert small[name].dtype == large[name].dtype == torch.float32
        assert not torch.equal(small[name], large[name])
        assert torch.equal(small[name].to(kind), large[name].to(kind))
    assert torch.equal(small["tokens"], large["tokens"])


def test_numbers_beyond_a_format_are_refused(fake, world, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeModel, "condition", lambda _, prompts: {"embeds": torch.full((len(prompts), 1, 1), 7e4)})
    with pytest.raises(UserError, match="--embeds-dtype float16: embeds of a prompt is not finite in it; use bfloat16"):
        run(world, tmp_path / "out", embeds_dtype="float16")
    run(world, tmp_path / "other", embeds_dtype="bfloat16")


def test_a_cache_without_geometry_says_so(fake, world, tmp_path):
    from safetensors.torch import load_file, save_file

    run(world, tmp_path / "out", buckets=False)
    path = tmp_path / "out" / "images-00000.safetensors"
    tensors = load_file(path)
    save_file({name: tensors[name] for name in ("mean", "std")}, path)
    keys = list(json.loads((tmp_path / "out" / "cache.json").read_text())["images"])[:1]
    assert Cache(tmp_path / "out").moments(keys).mean.shape == (1, 3, 8, 8)
    with pytest.raises(UserError, match=r"images-00000\.safetensors: holds no time_ids; remove .* and encode again"):
        Cache(tmp_path / "out").time_ids(keys)
