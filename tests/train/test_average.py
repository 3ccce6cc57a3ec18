from __future__ import annotations

import pytest
import torch

from tastemaker.train import average


def test_decay_rises_to_its_value() -> None:
    """Step 1: 2/11; step 8: 9/18 = 1/2; step 89: 90/99 > 0.9, so 0.9."""
    assert average.decay_at(1, 0.9) == pytest.approx(2 / 11)
    assert average.decay_at(8, 0.9) == 0.5
    assert average.decay_at(89, 0.9) == 0.9


def test_update_by_hand() -> None:
    """d = 1/2 at step 8: from 4 towards 2 gives 3."""
    mean = {"w": torch.tensor([4.0])}
    average.update(mean, {"w": torch.tensor([2.0])}, step=8, decay=0.9)
    assert mean["w"].item() == 3.0


def test_the_average_of_constant_weights_is_those_weights() -> None:
    weights = {"w": torch.randn(5)}
    mean = average.start(weights)
    for step in range(1, 4):
        average.update(mean, weights, step, 0.99)
    torch.testing.assert_close(mean["w"], weights["w"])


def test_using_puts_the_same_bits_back_even_after_an_error() -> None:
    weights = {"w": torch.nn.Parameter(torch.randn(5))}
    before = weights["w"].detach().clone()

    def fail_inside() -> None:
        with average.using({"w": torch.zeros(5)}, weights):
            assert not weights["w"].any()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    assert torch.equal(weights["w"], before)


def test_start_is_a_copy() -> None:
    weights = {"w": torch.ones(1)}
    mean = average.start(weights)
    weights["w"] += 1
    assert mean["w"].item() == 1
