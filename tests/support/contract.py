"""What the backbones' contract is checked with: latents that are not square, outputs, gradients, a recorder."""

from __future__ import annotations

import inspect

import torch

HEIGHT, WIDTH = 16, 32
"""Sides in pixels of what is not square."""


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def oblong(backbone, rows=3, seed=0):
    """Latents that are wider than high."""
    channels, height, width = backbone.latent_shape(WIDTH)
    return normal(rows, channels, height * HEIGHT // WIDTH, width, seed=seed)


def rows(condition, index):
    return {name: tensor[index] for name, tensor in condition.items()}


def outputs(backbone, condition, t=(10, 500, 999)):
    with torch.no_grad():
        return backbone.forward(oblong(backbone, len(t)), torch.tensor(t), condition).output


def update(backbone, trainable, conditions, rounds=2):
    """Two steps: the first moves B alone, because A gets no gradient while B is 0."""
    optimizer = torch.optim.SGD(trainable.parameters.values(), lr=0.5)
    for _ in range(rounds):
        gradients(backbone, conditions)
        optimizer.step()
        optimizer.zero_grad()


def gradients(backbone, conditions):
    """Fill `.grad`; returns the output and how many tensors the forward pass kept for it."""
    count = 0

    def pack(tensor):
        nonlocal count
        count += 1
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = backbone.forward(oblong(backbone), torch.tensor([10, 500, 999]), conditions).output
    output.square().mean().backward()
    return output.detach(), count


class Recorder:
    """Tensors of the first call of a network, by name: its arguments, those inside dictionaries, and its output."""

    def __init__(self, network):
        self._network, self.first = network, {}

    def __enter__(self):
        self._hook = self._network.register_forward_hook(self._record, with_kwargs=True)
        return self

    def __exit__(self, *_):
        self._hook.remove()

    def _record(self, network, args, kwargs, output):
        if self.first:
            return
        given = inspect.signature(network.forward).bind(*args, **kwargs).arguments
        nested = {name: value for part in given.values() if isinstance(part, dict) for name, value in part.items()}
        tensors = {name: value for name, value in (given | nested).items() if torch.is_tensor(value)}
        self.first = {name: tensor.clone() for name, tensor in (tensors | {"output": output[0]}).items()}
