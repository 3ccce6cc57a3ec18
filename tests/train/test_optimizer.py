from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import Parameter
from torch.testing._internal.two_tensor import TwoTensor

from support.training import make_task, recipe_of
from tastemaker.backbone import load
from tastemaker.base.errors import UserError
from tastemaker.train import choice, inputs, optimizer
from tastemaker.train.choice import PACKED, Adafactor, AdamW
from tastemaker.train.config import Settings
from tastemaker.train.recipe import read_recipe
from tastemaker.train.training import train

CPU = torch.device("cpu")
OWN = [AdamW(), AdamW(betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1), Adafactor(weight_decay=0.1)]
EXTRAS = [pytest.param(AdamW(kind=kind), id=kind, marks=pytest.mark.extras) for kind in PACKED]
SHAPES = {"large": (16, 512), "ragged": (4100,), "small": (3, 5), "kernel": (4, 2, 3, 3), "vector": (7,)}
"""For the packing kinds: whole blocks, a short last block, and too small to pack."""


def weights_of(shapes: dict[str, tuple[int, ...]], seed: int = 0, device: str = "cpu") -> dict[str, Parameter]:
    random = torch.Generator().manual_seed(seed)
    return {name: Parameter(torch.randn(shape, generator=random).to(device)) for name, shape in shapes.items()}


def go(weights: dict[str, Parameter], moved: torch.optim.Optimizer, steps: range) -> None:
    """Steps with gradients keyed by the step, at a rate that changes."""
    for step in steps:
        for name, gradient in weights_of({name: tuple(w.shape) for name, w in weights.items()}, 100 + step).items():
            weights[name].grad = gradient.detach().to(weights[name].device) * 1e-3
        optimizer.apply(moved, 1e-2 / (1 + step))
        optimizer.clear(moved)


def one(value: float, gradient: float, **settings: Any) -> tuple[float, float]:
    """Weight and reported norm after one update of a single weight."""
    chosen = Settings(lr=0.1, **settings)
    weights = {"w": Parameter(torch.tensor([value]))}
    moved = optimizer.make(weights, chosen)
    weights["w"].grad = torch.tensor([gradient])
    norm = optimizer.clip(weights, chosen.max_grad_norm)
    optimizer.apply(moved, chosen.lr)
    optimizer.clear(moved)
    assert weights["w"].grad is None
    return weights["w"].item(), norm.item()


def test_first_step_by_hand() -> None:
    """AdamW's first step is lr·g/(|g| + eps) after the decay: 1·(1 − 0.1·0.5) − 0.1 = 0.85, with eps = g half of it."""
    assert one(1.0, 3.0, optimizer=AdamW(weight_decay=0.5)) == (pytest.approx(0.85), pytest.approx(3.0))
    assert one(0.0, 3.0, optimizer=AdamW(eps=3.0), max_grad_norm=0.0)[0] == pytest.approx(-0.05)


def test_moments_by_hand() -> None:
    """After a gradient of 8: m = (1 − β₁) 8, v = (1 − β₂) 64."""
    weights = {"w": Parameter(torch.zeros(1))}
    moved = optimizer.make(weights, Settings(optimizer=AdamW(betas=(0.5, 0.75))))
    weights["w"].grad = torch.tensor([8.0])
    optimizer.apply(moved, 0.1)
    state = optimizer.state_tensors(moved, weights)
    assert (state["w/exp_avg"].item(), state["w/exp_avg_sq"].item()) == (4, 16)


@pytest.mark.parametrize("gradient", [3.0, 1e-9])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_first_step_of_adafactor_by_hand(value: float, gradient: float) -> None:
    """lr·sign(g), however small the weight or the gradient; without decay unless it is asked for."""
    assert one(value, gradient, optimizer=Adafactor())[0] == pytest.approx(value - 0.1)
    assert one(value, gradient, optimizer=Adafactor(weight_decay=0.5))[0] == pytest.approx(value * 0.95 - 0.1)


def test_adafactor_of_a_matrix_by_hand() -> None:
    """G = u vᵀ has V = u² (v²)ᵀ exactly, so the step is lr·sign(G)."""
    weights = {"w": Parameter(torch.zeros(2, 3))}
    moved = optimizer.make(weights, Settings(optimizer=Adafactor()))
    gradient = torch.outer(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5, -1.0]))
    weights["w"].grad = gradient
    optimizer.apply(moved, 0.1)
    assert torch.allclose(weights["w"], -0.1 * gradient.sign())


@pytest.mark.parametrize("kind", EXTRAS)
def test_packed_moments_move_as_adamw_does(kind: AdamW) -> None:
    """Five steps of about 0.01 a weight, less than a tenth of them apart in the mean."""
    plain, packed = weights_of(SHAPES), weights_of(SHAPES)
    start = {name: weight.detach().clone() for name, weight in plain.items()}
    go(plain, optimizer.make(plain, Settings()), range(5))
    go(packed, optimizer.make(packed, Settings(optimizer=kind)), range(5))
    for name, weight in plain.items():
        moved = (weight - start[name]).abs().mean()
        assert (weight - packed[name]).abs().mean() < moved / 10, name
    assert torch.allclose(plain["small"], packed["small"], atol=1e-6)
    assert not torch.equal(plain["large"], packed["large"])


@pytest.mark.parametrize("longest", [0.0, 1.0, 100.0])
def test_the_norm_is_the_one_before_clipping(longest: float) -> None:
    assert one(0.0, -4.0, max_grad_norm=longest)[1] == pytest.approx(4.0)


def test_clipping_shortens_the_gradient() -> None:
    """After a gradient of 8 clipped to 1, exp_avg is (1 − β1)·1 = 0.1; unclipped it is 0.8."""
    for longest, moment in ((1.0, 0.1), (0.0, 0.8)):
        chosen = Settings()
        weights = {"w": Parameter(torch.zeros(1))}
        moved = optimizer.make(weights, chosen)
        weights["w"].grad = torch.tensor([8.0])
        optimizer.clip(weights, longest)
        optimizer.apply(moved, chosen.lr)
        assert optimizer.state_tensors(moved, weights)["w/exp_avg"].item() == pytest.approx(moment, rel=1e-4)


class Packing(torch.optim.Optimizer):
    """Keeps what bitsandbytes and torchao keep: a count that is no tensor, a shared table, a float8, a subclass."""

    def __init__(self, weights: list[Parameter], lr: float, **_: Any) -> None:
        super().__init__(weights, {"lr": torch.tensor(lr)})
        self.table, self.rate = torch.arange(4.0), self.param_groups[0]["lr"]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # noqa: ARG002
        for weight in self.param_groups[0]["params"]:
            state = self.state[weight]
            if not state:
                pair = TwoTensor(torch.zeros_like(weight), torch.zeros_like(weight))
                codes = torch.zeros_like(weight, dtype=torch.float8_e4m3fn)
                state.update(step=0, table=self.table, codes=codes, pair=pair)
            state["step"] += 1
            state["pair"].a.lerp_(weight.grad, 0.1)
            state["pair"].b.add_(weight.grad.square())
            state["codes"].copy_((state["codes"].float() + weight.grad).to(torch.float8_e4m3fn))
            memory = state["pair"].a / (1 + state["pair"].b) + state["codes"].float() + self.table[3]
            weight.sub_(self.param_groups[0]["lr"] * weight)  # −0 becomes 0 even at rate 0, as torchao's does
            weight.sub_(self.param_groups[0]["lr"] / state["step"] * memory)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> AdamW:
    """A choice whose library is `Packing` in a module of bitsandbytes' name."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(__spec__=SimpleNamespace()))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", SimpleNamespace(AdamW8bit=Packing))
    return AdamW(kind="adamw8bit")


@pytest.mark.parametrize("kind", [*OWN, *EXTRAS], ids=lambda kind: kind.kind)
def test_a_restored_state_goes_on_bit_for_bit(kind: AdamW | Adafactor) -> None:
    _resume(kind)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [*OWN, *EXTRAS], ids=lambda kind: kind.kind)
def test_a_restored_state_goes_on_bit_for_bit_on_a_gpu(kind: AdamW | Adafactor) -> None:
    _resume(kind, "cuda")


def test_a_restored_packed_state_goes_on_bit_for_bit(stand_in: AdamW) -> None:
    moved = _resume(stand_in)
    assert isinstance(moved, Packing)
    assert moved.param_groups[0]["lr"] is moved.rate  # filled, not replaced: torchao compiles its step for this tensor


def _resume(kind: AdamW | Adafactor, device: str = "cpu") -> torch.optim.Optimizer:
    """Six steps at once and with a file of safetensors in between end in the same bits; loading moves no weight."""
    from safetensors.torch import load, save

    settings = Settings(optimizer=kind)
    whole = weights_of(SHAPES, device=device)
    moved = optimizer.make(whole, settings)
    assert optimizer.state_tensors(moved, whole) == {}
    go(whole, moved, range(3))
    with torch.no_grad():
        whole["small"][0, 0] = -0.0
    copied = {name: Parameter(weight.detach().clone()) for name, weight in whole.items()}
    stored = load(save(optimizer.state_tensors(moved, whole)))
    assert all(bool(value.isfinite().all()) for value in stored.values())

    restored = optimizer.make(copied, settings)
    optimizer.load_state_tensors(restored, copied, stored)
    assert bits(copied) == bits(whole)
    assert bits(optimizer.state_tensors(restored, copied)) == bits(stored)
    go(whole, moved, range(3, 6))
    go(copied, restored, range(3, 6))
    assert bits(copied) == bits(whole)
    assert bits(optimizer.state_tensors(restored, copied)) == bits(optimizer.state_tensors(moved, whole))
    return moved


def bits(tensors: Any) -> dict[str, bytes]:
    return {
        name: value.detach().reshape(-1).view(torch.uint8).cpu().numpy().tobytes() for name, value in tensors.items()
    }


def test_a_state_of_another_layout_is_refused() -> None:
    weights = weights_of(SHAPES)
    moved = optimizer.make(weights, Settings())
    go(weights, moved, range(1))
    stored = optimizer.state_tensors(moved, weights)
    other = optimizer.make(weights, Settings(optimizer=Adafactor()))
    with pytest.raises(UserError, match="optimizer state is not laid out as torch"):
        optimizer.load_state_tensors(other, weights, stored)


@pytest.mark.parametrize("kind", [AdamW(), Adafactor(), *EXTRAS], ids=lambda kind: kind.kind)
def test_the_state_is_as_large_as_foretold(kind: AdamW | Adafactor) -> None:
    weights = weights_of(SHAPES)
    moved = optimizer.make(weights, Settings(optimizer=kind))
    go(weights, moved, range(1))
    sizes = {name: value.nbytes for name, value in optimizer.state_tensors(moved, weights).items()}
    counted = sum(size for name, size in sizes.items() if not name.endswith("/step"))
    assert kind.state_bytes(SHAPES.values()) == counted


def test_bytes_of_large_weights_by_hand() -> None:
    """Two moments: float32 is 8; 8 bits with a scale per 256 are 2 + 8/256; 4 bits with one per 128, 1 + 8/128.

    Below 4096 elements they are float32, and in torchao where the last block would be short.
    """
    shape = (4096, 4096)
    expected = {"adamw": 8, "adamw8bit": 2.03125, "torchao-adamw8bit": 2.03125, "torchao-adamw4bit": 1.0625}
    for kind, size in expected.items():
        assert AdamW(kind=kind).state_bytes([shape]) / 4096**2 == pytest.approx(size, abs=2e-4)
    assert AdamW(kind="torchao-adamwfp8").state_bytes([(64, 64)]) == 2 * 4096 + 8 * 16
    assert AdamW(kind="torchao-adamwfp8").state_bytes([(4095,), (4097,)]) == 8 * (4095 + 4097)
    assert AdamW(kind="adamw8bit").state_bytes([(4095,), (4097,)]) == 8 * 4095 + 2 * 4097 + 8 * 17 + 2 * 256 * 4
    assert Adafactor().state_bytes([shape, (5,)]) == 4 * (2 * 4096 + 5)


@pytest.mark.parametrize("kind", PACKED)
def test_a_missing_library_is_named_with_the_command(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    extra = "bnb" if kind == "adamw8bit" else "torchao"
    with pytest.raises(UserError, match=rf"{kind} needs \w+, which is not .*: pip install 'tastemaker\[{extra}\]'$"):
        optimizer.make(weights_of(SHAPES), Settings(optimizer={"kind": kind}))


def test_a_recipe_without_its_library_is_told_before_anything_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` lists it, `train` stops at it."""
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    recipe = read_recipe(root / "recipes" / "sd15" / "sft.yaml", ["--train.optimizer.kind", "adamw8bit"])
    assert [line for line in inputs.missing(recipe) if "pip install 'tastemaker[bnb]'" in line]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kind", "adam"], "train.optimizer.kind: 'adam' is unknown, did you mean 'adamw'"),
        (["weight_decoy", "0"], "train.optimizer.weight_decoy: unknown field, did you mean 'weight_decay'"),
        (["eps", "0"], "train.optimizer.eps: 0 should be greater than 0"),
    ],
)
def test_wrong_settings_are_told_in_one_line(root: Path, words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_recipe(root / "recipes" / "sd15" / "sft.yaml", [f"--train.optimizer.{words[0]}", words[1]])


def test_what_a_kind_does_not_know_is_refused_by_name(root: Path) -> None:
    said = r"train\.optimizer\.betas: unknown field where kind: adafactor; known: kind, weight_decay"
    words = ["--train.optimizer", "{kind: adafactor, betas: [0.9, 0.99]}"]
    with pytest.raises(UserError, match=said):
        read_recipe(root / "recipes" / "sd15" / "sft.yaml", words)


def test_a_broken_library_is_told(stand_in: AdamW, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", SimpleNamespace())
    with pytest.raises(UserError, match="adamw8bit: bitsandbytes cannot be loaded"):
        optimizer.make(weights_of(SHAPES), Settings(optimizer=stand_in))


@pytest.mark.parametrize(
    ("kind", "device", "said"),
    [
        ("adamw8bit", "mps", "adamw8bit does not run on mps"),
        ("torchao-adamw4bit", "mps", "does not run on mps"),
        ("torchao-adamwfp8", "cuda", "needs a GPU of compute capability 8.9 or above, cuda has 8.6"),
        ("torchao-adamw8bit", "cpu", "there is no C"),
        ("torchao-adamw8bit", "cuda", "there is no C"),
    ],
)
def test_a_device_that_cannot_is_told(kind: Any, device: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    monkeypatch.setattr(optimizer.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=said):
        optimizer.require(AdamW(kind=kind), torch.device(device))


def test_a_device_that_cannot_is_told_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_task(tmp_path / "task", pairs=2)
    monkeypatch.setattr(choice, "find_spec", lambda _: object())
    monkeypatch.setattr(optimizer.shutil, "which", lambda _: None)
    monkeypatch.setattr(load, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    with pytest.raises(UserError, match="there is no C"):
        train(recipe_of(tree, tmp_path / "out", optimizer={"kind": "torchao-adamw8bit"}))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_plain_kinds_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    for kind in OWN:
        optimizer.require(kind, torch.device("mps"))


def test_the_kind_is_adamw_unless_given() -> None:
    assert Settings(optimizer={"weight_decay": 0.0}).optimizer == AdamW(weight_decay=0.0)
    assert Settings.model_validate(Settings().model_dump()) == Settings()
