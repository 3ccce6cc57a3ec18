"""Encoding: each distinct image and prompt once, the same bytes after a kill, and what the cache gives back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
import torch

from support.encoding import content, png, rank
from support.models import LATENT_SHAPE, RESOLUTION, save_tiny_sd
from tastemaker.backbone.load import load
from tastemaker.backbone.stable_diffusion import StableDiffusion
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text
from tastemaker.data.images import decode, to_pixels
from tastemaker.data.store import ImageStore, write_images
from tastemaker.encode.cache import EMPTY, Cache
from tastemaker.encode.encoding import encode
from tastemaker.rank.pairs import read_pairs

PROMPTS = ["a red circle", "größer 🎈"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "model")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(data folder with 7 images of two shapes, ranked folder of 4 pairs over 6 of them and 2 prompts)."""
    folder = tmp_path_factory.mktemp("world")
    shas = write_images(folder / "data", [png(number, *((60, 36) if number > 4 else (40, 50))) for number in range(7)])
    pairs = [(0, 1), (2, 1), (3, 4), (5, 0)]
    rank(folder / "ranked", [(shas[w], shas[v], PROMPTS[n % 2]) for n, (w, v) in enumerate(pairs)])
    return folder / "data", folder / "ranked"


def run(world, model, out, **settings):
    data, ranked = world
    return encode([ranked], data, str(model), out, **{"shard_rows": 2, "batch_size": 2} | settings)


@pytest.fixture(scope="module")
def cache(world, model, tmp_path_factory):
    """A finished cache's folder, and its summary."""
    out = tmp_path_factory.mktemp("cache") / "cache"
    return out, run(world, model, out)


def test_the_documented_files_and_counts(cache, world, model):
    out, summary = cache
    index = json.loads((out / "cache.json").read_text())
    assert set(index) == {
        "model", "model_key", "resolution", "scaling_factor", "latent_shape", "images", "prompts",
    }  # fmt: skip
    assert (index["resolution"], index["scaling_factor"]) == (RESOLUTION, 0.18215)
    assert index["model_key"] == load(model).key == Cache(out).model_key
    store = [sha for sha in ImageStore(world[0]).shas if sha in index["images"]]
    assert index["images"] == {sha: list(divmod(place, 2)) for place, sha in enumerate(store)}
    assert tuple(index["latent_shape"]) == Cache(out).latent_shape == LATENT_SHAPE
    assert (summary["images"], summary["prompts"]) == (6, 3) == (len(index["images"]), len(index["prompts"]))
    shards = [f"images-0000{n}.safetensors" for n in range(3)] + [f"prompts-0000{n}.safetensors" for n in range(2)]
    assert sorted(path.name for path in out.glob("*.safetensors")) == shards


def test_every_row_is_what_the_model_says_of_its_key(cache, world, model):
    data, ranked = world
    backbone, read = load(model), Cache(cache[0])
    shas = [*[pair.winner for pair in read_pairs(ranked)][::-1], read_pairs(ranked)[0].loser]
    images = dict(ImageStore(data).read_many(shas))
    pixels = torch.stack([torch.from_numpy(to_pixels(decode(images[sha]), RESOLUTION, RESOLUTION)) for sha in shas])
    expected, found = backbone.encode(pixels), read.moments(shas)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.std, expected.std, rtol=1e-4, atol=1e-6)
    keys = [sha256_text(PROMPTS[1]), EMPTY, sha256_text(PROMPTS[0])]
    embeds = backbone.condition([PROMPTS[1], "", PROMPTS[0]])["embeds"]
    torch.testing.assert_close(read.condition(keys)["embeds"], embeds, rtol=1e-4, atol=1e-5)


def test_a_finished_cache_is_recognised_without_the_model(cache, world, model, monkeypatch):
    out, summary = cache
    monkeypatch.setattr("tastemaker.backbone.load.load", lambda *_, **__: pytest.fail("loaded"))
    before = {path: path.stat().st_mtime_ns for path in out.iterdir() if path.name != ".lock"}
    assert run(world, model, out) == summary
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_settings_are_refused(cache, world, model):
    with pytest.raises(UserError, match=r"other inputs or settings; choose another --out or remove it"):
        run(world, model, cache[0], resolution=2 * RESOLUTION)


def test_the_order_of_the_pairs_does_not_matter(cache, world, model, tmp_path):
    """Ranked folders that hold the same images and prompts, split in two and reversed, give the same files."""
    pairs = [(pair.winner, pair.loser, pair.prompt) for pair in read_pairs(world[1])][::-1]
    rank(tmp_path / "one", pairs[:2])
    rank(tmp_path / "two", pairs[2:])
    folders = [tmp_path / "one", tmp_path / "two"]
    encode(folders, world[0], str(model), tmp_path / "out", shard_rows=2, batch_size=2)
    assert content(tmp_path / "out") == content(cache[0])


def test_images_of_several_data_folders_fill_one_cache(cache, world, model, tmp_path):
    images = [png(number, *((60, 36) if number > 4 else (40, 50))) for number in range(7)]
    folders = [tmp_path / "one", tmp_path / "two"]
    write_images(folders[0], images[:3])
    write_images(folders[1], images[2:])
    encode([world[1]], folders, str(model), tmp_path / "out", shard_rows=2, batch_size=2)
    assert content(tmp_path / "out") == content(cache[0])
    with pytest.raises(UserError, match="--data: no folder given"):
        encode([world[1]], [], str(model), tmp_path / "none")


def test_stopped_inside_a_shard_it_goes_on_after_the_last_whole_one(cache, world, model, tmp_path, monkeypatch):
    calls, original = [], StableDiffusion.encode

    def stops(self, pixels):
        calls.append(len(pixels))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, pixels)

    monkeypatch.setattr(StableDiffusion, "encode", stops)
    with pytest.raises(KeyboardInterrupt):
        run(world, model, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.safetensors")] == ["images-00000.safetensors"]
    run(world, model, tmp_path / "out")
    assert calls == [2, 2, 2, 2], "the first shard was encoded again"
    assert content(tmp_path / "out") == content(cache[0])


SLOWLY = """
import sys, time
from pathlib import Path
from tastemaker.backbone.stable_diffusion import StableDiffusion as Model
from tastemaker.encode.encoding import encode

def slow(function):
    return lambda *args: time.sleep(0.5) or function(*args)

Model.encode, Model.condition = slow(Model.encode), slow(Model.condition)
ranked, data, model, out, buckets = sys.argv[1:]
encode([Path(ranked)], Path(data), model, Path(out), shard_rows=2, batch_size=2, buckets=bool(buckets))
"""


@pytest.mark.slow
@pytest.mark.parametrize("buckets", ["", "buckets"])
def test_killed_after_any_shard_it_ends_in_the_same_bytes(buckets, world, model, tmp_path):
    data, ranked = world
    out = tmp_path / "out"
    for shard in ("images-00000", "images-00002", "prompts-00000"):
        command = [sys.executable, "-c", SLOWLY, ranked, data, model, out, buckets]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not (out / f"{shard}.safetensors").exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not (out / "cache.json").exists()
    run(world, model, out, buckets=bool(buckets))
    run(world, model, tmp_path / "whole", buckets=bool(buckets))
    assert content(out) == content(tmp_path / "whole")


def test_an_unfinished_cache_of_other_inputs_is_refused(cache, world, model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "images-00000.safetensors").write_bytes((cache[0] / "images-00000.safetensors").read_bytes())
    with pytest.raises(UserError, match="unfinished cache of other inputs"):
        run(world, model, out, resolution=2 * RESOLUTION)


def test_a_damaged_shard_is_named(cache, world, model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "images-00001.safetensors").write_bytes((cache[0] / "images-00001.safetensors").read_bytes()[:100])
    with pytest.raises(UserError, match=r"images-00001\.safetensors: damaged"):
        run(world, model, out)


def test_another_resolution_gives_other_latents(world, model, tmp_path):
    summary = run(world, model, tmp_path / "out", resolution=2 * RESOLUTION)
    assert tuple(summary["latent_shape"]) == (4, 16, 16)
    with pytest.raises(UserError, match="resolution 30: not a multiple of 4"):
        run(world, model, tmp_path / "odd", resolution=30)
    with pytest.raises(UserError, match="resolution 0: not a multiple of 4"):
        run(world, model, tmp_path / "none", resolution=0)


def test_a_narrower_format_rounds_the_latents_and_is_another_cache(cache, world, model, tmp_path):
    """bfloat16 has 8 bits: about 1 % of a latent, and nothing is stored in it but the prompts if so wanted."""
    folder = tmp_path / "narrow"
    run(world, model, folder, dtype="bfloat16")
    index = json.loads((folder / "cache.json").read_text())
    keys = list(index["images"])[:4]
    exact, rounded = (one.moments(keys).mean for one in (Cache(cache[0]), Cache(folder)))
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.05)
    with pytest.raises(UserError, match="choose another --out"):
        run(world, model, folder)


def test_an_image_that_is_not_there(world, model, tmp_path):
    rank(tmp_path / "ranked", [("0" * 64, "1" * 64, "a")])
    with pytest.raises(UserError, match=r"image 0{64}: not in the data folder \(2 are not\)"):
        encode([tmp_path / "ranked"], world[0], str(model), tmp_path / "out")


def test_an_image_that_no_longer_decodes(world, model, tmp_path):
    data = tmp_path / "data"
    shas = write_images(data, [png(0), png(1)[:200]])
    rank(tmp_path / "ranked", [(shas[0], shas[1], "a")])
    with pytest.raises(UserError, match=rf"image {shas[1]}: image_damaged"):
        encode([tmp_path / "ranked"], data, str(model), tmp_path / "out")


def test_nothing_to_encode_is_a_users_mistake(world, model, tmp_path):
    with pytest.raises(UserError, match="no pairs given"):
        encode([], world[0], str(model), tmp_path / "out")


def test_an_unknown_key_is_named(cache):
    with pytest.raises(UserError, match="nothing encoded for image unknown"):
        Cache(cache[0]).moments(["unknown"])
    with pytest.raises(UserError, match="nothing encoded for prompt unknown"):
        Cache(cache[0]).condition(["unknown"])


def test_a_missing_cache_or_shard(cache, tmp_path):
    with pytest.raises(UserError, match=r"cache\.json: no such file"):
        Cache(tmp_path)
    (tmp_path / "cache.json").write_bytes((cache[0] / "cache.json").read_bytes())
    with pytest.raises(UserError, match=r"images-0000.\.safetensors: missing or damaged"):
        Cache(tmp_path).moments(list(json.loads((tmp_path / "cache.json").read_text())["images"]))
