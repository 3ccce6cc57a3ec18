"""How much autograd holds for backward passes."""

from __future__ import annotations

from typing import Any

import torch


class Alive:
    """Bytes that autograd holds inside the block: ``now``, and at ``most``. What a view shares counts each time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __enter__(self) -> Alive:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda held: held.tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *rest: Any) -> None:
        self._hooks.__exit__(*rest)

    def _pack(self, tensor: torch.Tensor) -> Any:
        alive, size = self, tensor.numel() * tensor.element_size()

        class Held:
            def __init__(self) -> None:
                self.tensor = tensor
                alive.now += size
                alive.most = max(alive.most, alive.now)

            def __del__(self) -> None:
                alive.now -= size

        return Held()
