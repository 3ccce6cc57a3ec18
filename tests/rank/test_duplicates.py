"""Near-duplicates: the hash by hand, distances, which pair of several stays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.datasets import png
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.store import write_images
from tastemaker.rank.duplicates import check, difference_hash, hashes, repeated

FALLING = 2**64 - 1


def grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))


def test_the_hash_by_hand() -> None:
    """9 × 8 pixels that darken to the right: every place is brighter than its neighbour; even ones: none is."""
    falling = np.tile(np.arange(9)[::-1] * 20, (8, 1))
    assert difference_hash(grey(falling)) == FALLING
    assert difference_hash(grey(falling[:, ::-1])) == 0
    assert difference_hash(grey(np.full((8, 9), 90))) == 0
    one = np.full((8, 9), 90)
    one[0, 0] = 91  # the first place of the first row
    assert difference_hash(grey(one)) == 1 << 63


def test_a_smaller_and_recompressed_copy_is_near_and_a_mirrored_one_is_not(shared_data: Path) -> None:
    image = Image.open(shared_data / "imagereward" / "1.webp").convert("RGB")
    file = io.BytesIO()
    image.resize((200, 200)).save(file, "JPEG", quality=60)
    copy, mirrored = Image.open(file), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    others = [Image.open(shared_data / "imagereward" / f"{place}.webp") for place in (2, 3, 4)]
    apart = [(difference_hash(image) ^ difference_hash(other)).bit_count() for other in (copy, mirrored, *others)]
    assert apart[0] <= 3
    assert min(apart[1:]) > 10


def test_images_that_cannot_be_read_have_none(tmp_path: Path) -> None:
    broken = png(3)[:-30]
    names = write_images(tmp_path, [png(1), broken])
    assert hashes(tmp_path, names) == {names[0]: 0}
    with pytest.raises(UserError, match=r"the image .* is not here"):
        hashes(tmp_path, [sha256_bytes(b"other")])


KNOWN = {0: 0, 1: FALLING, 2: 0b11, 3: FALLING - 1, 4: 0xF0F0, 5: 0xF0F0}


def drops(pairs: list[tuple[int, int]], prompts: list[int], distance: int) -> list[bool]:
    return repeated(np.array(prompts), np.array(pairs).T, KNOWN, distance).tolist()


def test_two_alike_images_teach_nothing() -> None:
    assert drops([(0, 2), (0, 1)], [0, 0], 2) == [True, False]
    assert drops([(0, 2), (0, 1)], [0, 0], 1) == [False, False]


def test_a_pair_that_repeats_a_better_one() -> None:
    """(2, 3) is (0, 1) with 2 and 1 bits changed; (3, 2) the same turned round; of another prompt it stays."""
    assert drops([(0, 1), (2, 3), (3, 2)], [0, 0, 0], 2) == [False, True, True]
    assert drops([(0, 1), (2, 3)], [0, 1], 2) == [False, False]
    assert drops([(0, 1), (2, 3)], [0, 0], 1) == [False, False]  # one side is too far
    assert drops([(0, 1), (0, 4), (4, 1)], [0, 0, 0], 2) == [False, False, False]  # one image alone is alike


def test_what_is_dropped_drops_nobody() -> None:
    """5 and 4 are alike, so their pair goes; one that would repeat it has to be alike itself."""
    chain = {0: 0, 1: 0b1, 2: 0b11, 9: FALLING}
    pairs = np.array([(0, 9), (1, 9), (2, 9)]).T  # the second repeats the first; the third only the second
    assert repeated(np.zeros(3, int), pairs, chain, 1).tolist() == [False, True, False]


def test_an_image_without_a_hash_is_nobody_s_duplicate() -> None:
    assert drops([(7, 8), (7, 8), (7, 7)], [0, 0, 0], 5) == [False, False, False]


def test_single_images() -> None:
    """Liked ones are alike liked ones, and no disliked one."""
    assert drops([(0, -1), (2, -1), (-1, 2), (-1, 0)], [0, 0, 0, 0], 2) == [False, True, True, True]
    assert drops([(0, -1), (0, 1)], [0, 0], 2) == [False, False]


@pytest.mark.parametrize("distance", [-1, 64])
def test_refused(distance: int) -> None:
    with pytest.raises(UserError, match=f"--drop-near-duplicates {distance}: a number of bits from 0"):
        check(distance)
