"""Keyed draws: a function of the key alone, and normal."""

from __future__ import annotations

import math
import subprocess
import sys

import torch

from tastemaker.base.draw import key_bits, normal, numbers, seed


def test_the_same_key_gives_the_same_draw_in_any_order() -> None:
    first = [normal((2, 3), 0, "pair", visit) for visit in range(4)]
    again = [normal((2, 3), 0, "pair", visit) for visit in reversed(range(4))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_another_process_draws_the_same() -> None:
    script = "from tastemaker.base.draw import normal; print(normal((3,), 7, 'é', 1).tolist())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(normal((3,), 7, "é", 1).tolist())


def test_every_part_of_the_key_counts() -> None:
    keys: list[tuple[str | int, ...]] = [("ab", "c"), ("a", "bc"), ("abc",), (1,), ("1",), (0,), (), ("a", 1), (1, "a")]
    assert len({key_bits(*key) for key in keys}) == len(keys)
    assert len({seed(*key) for key in keys}) == len(keys)
    draws = [normal((4,), *key) for key in keys]
    assert not any(torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])


def test_neither_global_generator_is_read_or_moved() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = normal((5,), "k")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(normal((5,), "k"), first)


def test_a_longer_draw_begins_with_the_shorter() -> None:
    assert torch.equal(normal((10,), "k")[:4], normal((4,), "k"))


def test_draws_are_standard_normal() -> None:
    """40 keys of 1000 numbers: mean within 4/√40000 of 0, variance within 4·√(2/40000) of 1, no correlation."""
    draws = torch.stack([normal((1000,), "moments", index) for index in range(40)]).double()
    assert draws.dtype == torch.float64
    assert abs(draws.mean()) < 4 / math.sqrt(40_000)
    assert abs(draws.var() - 1) < 4 * math.sqrt(2 / 40_000)
    assert abs((draws[:-1] * draws[1:]).mean()) < 4 / math.sqrt(39_000)


def test_shape_type_and_device() -> None:
    draw = normal((2, 0, 3), "k")
    assert (draw.shape, draw.dtype, draw.device.type) == ((2, 0, 3), torch.float32, "cpu")


def test_seeds_fit_in_63_bits() -> None:
    assert all(0 <= seed("s", index) < 2**63 for index in range(200))
    assert numbers("a").integers(2**32) == numbers("a").integers(2**32)
