"""Training the small models of the world: AdamW, warm-up, cosine decay, averaged weights, resumable at any point.

Everything random in a loss must be keyed by the step, so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import AdamW

from tastemaker.base.draw import numbers
from tastemaker.base.errors import Interrupted, UserError
from tastemaker.base.progress import bar
from tastemaker.base.summary import fingerprint
from tastemaker.train import average, checkpoint
from tastemaker.train.optimizer import load_state_tensors, state_tensors
from tastemaker.train.signals import stopping

LOSS_WINDOW = 50
"""Steps whose mean loss makes one line of the log."""


@dataclass(frozen=True)
class Plan:
    """How one model is trained. ``lr`` is the peak rate, ``decay`` that of the averaged weights."""

    steps: int
    batch: int
    lr: float
    warmup: int = 100
    decay: float = 0.999
    clip: float = 1.0
    checkpoint_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"--steps {self.steps}: must be at least 1")

    def rate(self, step: int) -> float:
        """lr · min(1, (step + 1) / warmup) · (1 + cos(π step / steps)) / 2."""
        return self.lr * min(1.0, (step + 1) / self.warmup) * (1 + math.cos(math.pi * step / self.steps)) / 2


def parameters_of(modules: Mapping[str, Module]) -> dict[str, Parameter]:
    """All weights of several models under names that start with the model's."""
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.named_parameters()}


@dataclass(frozen=True)
class Fit:
    """A training in a folder: `checkpoints/` and `log.jsonl` (step, mean loss of the window)."""

    out: Path
    plan: Plan
    parameters: dict[str, Parameter]

    def run(self, loss_at: Callable[[int], Tensor], what: str, watch: Callable[[int], None] = lambda _: None) -> None:
        """Minimise ``loss_at(step)`` and leave the averaged weights in the parameters.

        ``watch(step)`` is called at every checkpoint with the averaged weights in place.

        Raises:
            Interrupted: SIGINT or SIGTERM came; the state is saved.
            UserError: the loss is not finite, or the folder holds another training.
        """
        optimizer = AdamW(
            list(self.parameters.values()), lr=self.plan.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        mean = average.start(self.parameters)
        first, window = self._resume(optimizer, mean)
        with stopping() as stop:
            for step in bar(range(first, self.plan.steps), what, unit="step"):
                window.append(self._step(optimizer, loss_at(step), step))
                average.update(mean, self.parameters, step + 1, self.plan.decay)
                done = step + 1
                if len(window) == LOSS_WINDOW or done == self.plan.steps:
                    self._log(done, window)
                if done % self.plan.checkpoint_every == 0 or done == self.plan.steps or stop.signum:
                    self._save(done, optimizer, mean, window)
                    with average.using(mean, self.parameters):
                        watch(done)
                if stop.signum:
                    raise Interrupted(stop.signum)
        with torch.no_grad():
            for name, value in mean.items():
                self.parameters[name].copy_(value)

    def _step(self, optimizer: AdamW, loss: Tensor, step: int) -> float:
        if not torch.isfinite(loss):
            raise UserError(f"{self.out}: the loss is {loss.item()} at step {step}; start again with a lower rate")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.plan.clip)
        for group in optimizer.param_groups:
            group["lr"] = self.plan.rate(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def _log(self, step: int, window: list[float]) -> None:
        with open(self.out / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps({"step": step, "loss": round(sum(window) / len(window), 6)}) + "\n")
        window.clear()

    def _print(self) -> str:
        return fingerprint(**asdict(self.plan), weights={name: list(p.shape) for name, p in self.parameters.items()})

    def _save(self, step: int, optimizer: AdamW, mean: dict[str, Tensor], window: list[float]) -> None:
        log = self.out / "log.jsonl"
        state = checkpoint.State(step, step * self.plan.batch, log.stat().st_size if log.exists() else 0, self._print())
        tensors: dict[str, dict[str, Tensor]] = {
            "weights": dict(self.parameters),
            "optimizer": state_tensors(optimizer, self.parameters),
            "average": mean,
            "window": {"losses": torch.tensor(window, dtype=torch.float64)},
        }
        checkpoint.save(self.out, checkpoint.Checkpoint(state, tensors), keep=2)

    def _resume(self, optimizer: AdamW, mean: dict[str, Tensor]) -> tuple[int, list[float]]:
        self.out.mkdir(parents=True, exist_ok=True)
        log = self.out / "log.jsonl"
        found = checkpoint.newest(self.out)
        if found is None:
            log.unlink(missing_ok=True)
            return 0, []
        if found.state.fingerprint != self._print():
            raise UserError(f"{self.out}: holds a training with other settings; choose another --out or remove it")
        load_state_tensors(optimizer, self.parameters, found.tensors["optimizer"])
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(found.tensors["weights"][name])
                mean[name].copy_(found.tensors["average"][name])
        if log.exists():
            with open(log, "rb+") as file:
                file.truncate(found.state.metrics_bytes)
        return found.state.step, found.tensors["window"]["losses"].tolist()


def minibatch(count: int, plan: Plan, step: int) -> Tensor:
    """Indices of the examples of a step, drawn with replacement from ``count``: [batch] int64."""
    return torch.from_numpy(numbers(plan.seed, "batch", step).integers(count, size=plan.batch))
