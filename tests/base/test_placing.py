from __future__ import annotations

from unittest.mock import MagicMock

import torch

from tastemaker.base.placing import put

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_what_is_there_stays_as_it_is() -> None:
    tensor = torch.ones(2)
    assert put(tensor, CPU) is tensor
    assert put(tensor, CPU, torch.float16).dtype == torch.float16


def test_on_its_way_to_a_gpu_nobody_waits() -> None:
    """A copy from pageable memory would wait, one from pinned memory does not (`make test-gpu` asks the driver)."""
    tensor = MagicMock(device=CPU)
    pinned = tensor.pin_memory.return_value
    assert put(tensor, CUDA, torch.float16) is pinned.to.return_value.to.return_value
    pinned.to.assert_called_once_with(CUDA, non_blocking=True)
    pinned.to.return_value.to.assert_called_once_with(CUDA, torch.float16)


def test_what_is_on_the_gpu_is_not_pinned() -> None:
    tensor = MagicMock(device=CUDA)
    put(tensor, CUDA)
    tensor.pin_memory.assert_not_called()
