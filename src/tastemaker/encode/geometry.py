"""Where an encoded image's pixels lie in the picture that was judged: what SDXL is told of sizes and crops.

A size is (height, width) in pixels everywhere.
"""

from __future__ import annotations

Size = tuple[int, int]
TimeIds = tuple[int, int, int, int, int, int]


def time_ids(original: Size, target: Size) -> TimeIds:
    """SDXL's micro-conditioning (h₀, w₀, top, left, h, w) of an image that `to_pixels` cut to ``target`` = (h, w).

    (h₀, w₀) is the size before resizing. The image is resized until it just covers (h, w), and cut at the centre;
    (top, left) is the cut's corner in the *resized* image, of height h₀w/w₀ or width w₀h/h₀:

        top = max(0, h₀ w/w₀ − h) / 2        left = max(0, w₀ h/h₀ − w) / 2

    rounded to whole pixels. Podell et al. 2023, arXiv:2307.01952, section 2.2: the size is that before rescaling, and
    crops follow resizing. diffusers' `train_text_to_image_lora_sdxl.py --center_crop` computes the same, except that
    some versions of it (commit 000280f) give the original width first, which the paper and diffusers' pipeline do not.
    """
    (h0, w0), (h, w) = original, target
    top, left = max(0.0, h0 * w / w0 - h) / 2, max(0.0, w0 * h / h0 - w) / 2
    return h0, w0, round(top), round(left), h, w
