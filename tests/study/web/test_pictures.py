"""Blinded images: alike whatever they were before, with the same pixels where nothing had to be made smaller."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from study.web.apps import client, current, invited, of, png, study
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.images import ImageProblem, decode
from tastemaker.data.store import ImageStore
from tastemaker.study.build import create
from tastemaker.study.design import Plan
from tastemaker.study.series import open_series
from tastemaker.study.web import texts
from tastemaker.study.web.pictures import Pictures, Shelf, blinded

SIZE = (40, 30)


def jpeg_with_everything() -> bytes:
    exif = Image.Exif()
    exif[0x0131] = "model-zebra 1.5"  # Software
    xmp = b"<x:xmpmeta>model-zebra</x:xmpmeta>"
    return png("jpeg", size=SIZE, format="JPEG", exif=exif, icc_profile=b"profile of model-zebra", xmp=xmp)


def png_with_texts() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "model-okapi, steps 20")
    texts.add_itxt("XML:com.adobe.xmp", "model-okapi")
    return png("png", size=SIZE, pnginfo=texts, dpi=(300, 300))


def pixels(data: bytes) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(io.BytesIO(data)))


def test_images_come_out_alike_over_http(tmp_path: Path) -> None:
    row = [jpeg_with_everything(), png_with_texts()]
    assert b"zebra" in row[0]
    assert b"okapi" in row[1]
    create(tmp_path / "s", Plan(title="t"), of([("squares", row)]))
    series = open_series(tmp_path / "s")
    browser = invited(client(series), series)
    answers = [browser.get(path) for path in browser.get("/api/task").json()["images"]]
    one, two = ({name: value for name, value in each.headers.items() if name != "content-length"} for each in answers)
    assert one == two
    assert one["content-type"] == "image/webp"
    assert one["cache-control"] == "private, max-age=3600"
    assert not {"etag", "last-modified", "server", "content-disposition"} & set(one)
    for answer in answers:
        image = Image.open(io.BytesIO(answer.content))
        assert (image.format, image.mode, image.size) == ("WEBP", "RGB", SIZE)
        assert {"exif", "xmp", "icc_profile", "dpi"} & set(image.info) == set()
        assert chunks(answer.content) == ["VP8L"]
        assert b"model" not in answer.content
    written = {pixels(answer.content).tobytes() for answer in answers}
    assert written == {np.asarray(decode(data)).tobytes() for data in row}


def chunks(webp: bytes) -> list[str]:
    """The names of the chunks of a WebP file (RIFF: name, length, content padded to an even length)."""
    place, names = 12, []
    while place < len(webp):
        names.append(webp[place : place + 4].decode())
        length = int.from_bytes(webp[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    return names


def test_the_images_of_a_task_fit_into_the_smallest_width_and_height(tmp_path: Path) -> None:
    """Box 40 × 20: the 80 × 20 image is made half as wide and high, the 40 × 60 one a third, 13⅓ → 13 pixels wide."""
    row = [png("wide", size=(80, 20)), png("high", size=(40, 60)), png("small", size=(40, 20))]
    create(tmp_path / "s", Plan(title="t", kind="rank"), of([("squares", row)]))
    item = open_series(tmp_path / "s").current().design.items[0]  # type: ignore[union-attr]
    made = [Pictures().picture(tmp_path / "s", item, place) for place in range(3)]
    assert [Image.open(io.BytesIO(data)).size for data in made] == [(40, 10), (13, 20), (40, 20)]


def test_nothing_is_enlarged_and_what_fits_keeps_its_pixels() -> None:
    data = png("a", size=(17, 9))
    assert (pixels(blinded(data, (100, 100))) == pixels(data)).all()


def test_smaller_images_are_the_resized_ones() -> None:
    data = png("b", size=(64, 64))
    expected = Image.open(io.BytesIO(data)).resize((16, 16), Image.Resampling.LANCZOS)
    assert (pixels(blinded(data, (16, 16))) == np.asarray(expected)).all()


def test_the_same_file_format_gives_the_same_bytes_from_another() -> None:
    """Lossless formats of the same pixels: nothing tells which it was."""
    same = [png("c", format=kind, **more) for kind, more in (("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}))]
    assert len({blinded(data, (24, 16)) for data in same}) == 1


def test_images_stand_in_the_order_that_was_drawn_for_the_rater(tmp_path: Path) -> None:
    """Answers by position mean what the rater saw: with seed 6 the places 2 1 3 0 from the left."""
    series = study(tmp_path / "s", 1, 4, kind="rank", seed=6)
    browser = invited(client(series), series)
    seen = [pixels(browser.get(path).content) for path in browser.get("/api/task").json()["images"]]
    assert [image.tobytes() for image in seen] == [pixels(png(0, place)).tobytes() for place in (2, 1, 3, 0)]


def test_only_the_last_images_are_kept(tmp_path: Path) -> None:
    item = current(study(tmp_path / "s", 1, 3, kind="best")).design.items[0]
    size = len(Pictures().picture(tmp_path / "s", item, 0))
    few = Pictures(most=int(2.5 * size))
    first = [few.picture(tmp_path / "s", item, place) for place in range(3)]
    assert sum(map(len, few._kept.values())) <= few.most
    assert {sha for _, sha, _ in few._kept} == {item.images[1].sha, item.images[2].sha}
    assert [few.picture(tmp_path / "s", item, place) for place in range(3)] == first
    assert few.picture(tmp_path / "s", item, 2) is few.picture(tmp_path / "s", item, 2)


def test_many_threads_get_the_right_images(tmp_path: Path) -> None:
    items = current(study(tmp_path / "s", 40, 2)).design.items  # images in three row groups
    wanted = [(item, place) for item in items for place in range(2)] * 3
    pictures, calm = Pictures(most=20_000), Pictures()
    with ThreadPoolExecutor(16) as pool:
        made = [*pool.map(lambda each: pictures.picture(tmp_path / "s", *each), wanted)]
    alone = [calm.picture(tmp_path / "s", *each) for each in wanted[:80]]
    assert made == alone * 3


def test_a_shelf_is_read_by_one_thread_at_a_time(tmp_path: Path) -> None:
    study(tmp_path / "s", 40, 2).close()  # images in three row groups
    store = ImageStore(tmp_path / "s/data")
    shelf = Shelf(store, store.sizes())
    wanted = sorted(store.shas) * 10  # here and there in the store
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # seconds: threads take turns as often as can be
    try:
        with ThreadPoolExecutor(16) as pool:
            read = [*pool.map(shelf.read, wanted)]
    finally:
        sys.setswitchinterval(usual)
    assert [*map(sha256_bytes, read)] == wanted


def test_a_damaged_image_says_nothing_of_itself(tmp_path: Path) -> None:
    """Its header is whole, so the study could be made."""
    whole = png("d", size=(64, 64))
    create(tmp_path / "s", Plan(title="t"), of([("squares", [whole[:200], png("e", size=(64, 64))])]))
    series = open_series(tmp_path / "s")
    browser = invited(client(series), series)
    answers = [browser.get(path) for path in browser.get("/api/task").json()["images"]]
    assert sorted(answer.status_code for answer in answers) == [200, 500]
    broken = max(answers, key=lambda answer: answer.status_code).text
    assert str(tmp_path) not in broken
    assert current(series).design.items[0].images[0].sha not in broken
    with pytest.raises(ImageProblem):
        blinded(whole[:200], (64, 64))


def test_images_that_are_gone_say_nothing_of_themselves(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = invited(client(series), series)
    (tmp_path / "s/data").rename(tmp_path / "s/away")
    answer = browser.get(browser.get("/api/task").json()["images"][0])
    assert (answer.status_code, answer.json()) == (500, {"error": texts.BROKEN})
    with pytest.raises(UserError, match="no images here"):
        Pictures().picture(tmp_path / "s", current(series).design.items[0], 0)
