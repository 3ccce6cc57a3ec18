"""What of a model is trained, as a recipe says it. No torch here: recipes are read without it.

A kind of training is one class: what it trains, what it leaves frozen, what it hands over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

UNGUIDED = 1.0
"""The guidance scale at which the empty prompt is not run."""
Shapes = Mapping[str, tuple[int, ...]]
"""Name → shape of weights."""


class Lora(BaseModel):
    """Low-rank adapters, W + s B A with s = alpha / rank, on layers of the denoiser (Hu et al. 2021, arXiv:2106.09685).

    With ``rslora`` s = alpha / √rank (Kalajdzievski 2023, arXiv:2312.03732). With ``dora`` the length of each row is
    trained as well: m (W + s B A) / ‖W + s B A‖ (Liu et al. 2024, arXiv:2402.09353). The reference is the model with
    its adapter off; with ``start``, the model with that adapter as it was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    artifact: ClassVar[str] = "pytorch_lora_weights.safetensors"
    export_format: ClassVar[Literal["lora", "merged"]] = "lora"
    title: ClassVar[str] = "A LoRA adapter"
    merged_title: ClassVar[str] = "A LoRA adapter, folded into the weights,"
    tags: ClassVar[tuple[str, ...]] = ("lora",)
    relation: ClassVar[str] = "adapter"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "bfloat16", "float16")
    kept: ClassVar[Mapping[str, float]] = {"unet": 2.0, "transformer": 1.35}
    """What autograd keeps for the backward pass, in multiples of the layers' inputs."""
    reference_is_free: ClassVar[bool] = True
    """Whether the frozen model is at hand without a copy of it."""

    kind: Literal["lora"] = "lora"
    rank: int | None = Field(64, ge=1)
    """Rows of A; more can learn more."""
    alpha: float | None = Field(None, gt=0)
    """Strength of the update; none is the rank, so that s = 1."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the adapter's inputs that a training step zeroes; the reference sees none."""
    targets: tuple[str, ...] | None = Field(("to_q", "to_k", "to_v", "to_out.0"), min_length=1)
    """Endings of the names of the layers that get an adapter."""
    dora: bool = False
    """Train the lengths of the weights' rows as well."""
    rslora: bool = False
    """Scale by alpha / √rank in place of alpha / rank."""
    start: str | None = None
    """Adapter (folder or .safetensors, diffusers or kohya) to go on from; it fixes all of the above but dropout."""
    on: str | None = None
    """Adapter to leave frozen under the trained one, in policy and reference."""
    on_scale: float = Field(1.0, allow_inf_nan=False)
    """How strong that adapter is."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        """Where ``start`` is given its file fixes the shape; elsewhere ``null`` is the default."""
        if not isinstance(given, dict):
            return given
        fixed = [name for name in ("rank", "alpha", "targets", "dora", "rslora") if given.get(name)]
        if given.get("start") is None:
            return {
                name: value for name, value in given.items() if name not in ("rank", "targets") or value is not None
            }
        if fixed:
            raise ValueError(
                f"start: {given['start']} is a file that fixes {fixed[0]}; remove adapter.{fixed[0]} or make it null"
            )
        return given | {"rank": None, "targets": None}

    @model_validator(mode="after")
    def _possible(self) -> Lora:
        if self.dora and self.on is not None:
            raise ValueError(
                f"dora scales the weights under it, so it cannot go into one file with on: {self.on}; "
                "remove one of them, or train on a merged model (tastemaker export --format merged)"
            )
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Adapter files that training needs."""
        return tuple(path for path in (self.start, self.on) if path is not None)

    def trained_shapes(self, denoiser: Shapes, read: Callable[[str], Shapes]) -> list[tuple[int, ...]]:
        """Shapes of what the optimizer moves; ``read`` gives those of the weights in an adapter's file.

        A weight [out, in, …] gets [rank, in, …] and [out, rank], and with DoRA [out].
        """
        if self.start is not None:
            return list(read(self.start).values())
        assert self.rank is not None
        targeted = [shape for name, shape in denoiser.items() if len(shape) > 1 and self.adapts(name)]
        thin = [made for out, *rest in targeted for made in ((self.rank, *rest), (out, self.rank))]
        return thin + [(shape[0],) for shape in targeted if self.dora]

    def adapts(self, weight: str) -> bool:
        """Whether the layer with this weight gets an adapter; one that a file brings is not looked for."""
        layer = weight.removesuffix(".weight")
        return any(layer == target or layer.endswith(f".{target}") for target in self.targets or ())

    def widens(self, dtype: str) -> bool:
        """Whether the adapters' products are float32 though the model is ``dtype`` (`backbone.narrow` says why)."""
        return dtype == "float16" or (dtype == "bfloat16" and self.dora)


class Full(BaseModel):
    """Every weight of the denoiser, in float32; the reference is a frozen copy."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    artifact: ClassVar[str] = "model"
    export_format: ClassVar[Literal["lora", "merged"]] = "merged"
    title: ClassVar[str] = "A full fine-tuning"
    merged_title: ClassVar[str] = title
    tags: ClassVar[tuple[str, ...]] = ("full-finetuning",)
    relation: ClassVar[str] = "finetune"
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    kept: ClassVar[Mapping[str, float]] = {"unet": 2.3, "transformer": 2.4}
    reference_is_free: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["full"] = "full"

    def trained_shapes(self, denoiser: Shapes, _: Callable[[str], Shapes]) -> list[tuple[int, ...]]:
        """Shapes of what the optimizer moves: of all weights."""
        return list(denoiser.values())

    def adapts(self, _: str) -> bool:
        """No layer gets an adapter."""
        return False

    def widens(self, _: str) -> bool:
        """There are no adapters."""
        return False


Adapter = Annotated[Lora | Full, Field(discriminator="kind")]
