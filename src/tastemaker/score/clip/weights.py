"""Where a CLIP's weights come from: a folder as transformers saves it, or one file as open_clip does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.score.checkpoint import find_file, find_folder, read_tensors
from tastemaker.score.clip import open_clip

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import CLIPConfig, CLIPModel

CONFIG = "config.json"
SAFETENSORS = ("model.safetensors", "model-*-of-*.safetensors")
PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin")
COMPUTED = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")
"""Counting from 0; old checkpoints hold them."""


class ClipWeights(Protocol):
    """Found, hashed by its files, and read when a model is needed."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What decides the numbers. Raises `UserError` where it cannot be found."""

    @property
    def side(self) -> int:
        """Of the images it looks at, in pixels; known without reading the weights."""

    @property
    def length(self) -> int:
        """Tokens of a prompt that it reads, start and end among them; known without reading the weights."""

    def load(self) -> CLIPModel:
        """The model in float32 on the CPU, in eval mode. Raises `UserError` for weights that do not fit."""


@dataclass(frozen=True)
class TransformersFolder:
    """`config.json` and `model.safetensors`, or `pytorch_model.bin` where there are none; shards as well."""

    scorer: str
    checkpoint: str

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The configuration, then the weights."""
        for patterns in (SAFETENSORS, PICKLED):
            folder = find_folder(self.scorer, self.checkpoint, CONFIG, *patterns)
            if not (folder / CONFIG).is_file():
                raise UserError(f"{self.scorer}: {self.checkpoint}: no {CONFIG} there; give a folder of transformers")
            if weights := sorted(file for pattern in patterns for file in folder.glob(pattern)):
                return (folder / CONFIG, *weights)
        raise UserError(f"{self.scorer}: {self.checkpoint}: no weights there ({SAFETENSORS[0]} or {PICKLED[0]})")

    @property
    def side(self) -> int:
        """As the configuration says."""
        return int(self._config().vision_config.image_size)

    @property
    def length(self) -> int:
        """As the configuration says."""
        return int(self._config().text_config.max_position_embeddings)

    def load(self) -> CLIPModel:
        """The model in float32 on the CPU, in eval mode."""
        state: dict[str, Tensor] = {}
        for file in self.files[1:]:
            state |= read_tensors(self.scorer, file)
        kept = {name: tensor for name, tensor in state.items() if name not in COMPUTED}
        return _assembled(f"{self.scorer}: {self.files[1]}", self._config(), kept, str)

    def _config(self) -> CLIPConfig:
        found = read_json(self.files[0])
        kind = found.get("model_type") if isinstance(found, dict) else None
        if kind != "clip":
            raise UserError(
                f"{self.scorer}: {self.files[0]}: model_type {kind!r} is no CLIP; give a checkpoint of CLIP"
            )
        return _config(f"{self.scorer}: {self.files[0]}", found)


@dataclass(frozen=True)
class OpenClipFile:
    """The file ``name`` of ``checkpoint``, or that file itself; a ViT-H/14 unless open_clip's ``config`` is given."""

    scorer: str
    checkpoint: str
    name: str
    config: str = ""

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The weights, then the configuration if there is one."""
        weights = find_file(self.scorer, self.checkpoint, self.name)
        if not self.config:
            return (weights,)
        if not Path(self.config).is_file():
            raise UserError(f"{self.scorer}: config={self.config}: no such file; give open_clip's JSON of the model")
        return weights, Path(self.config)

    @property
    def side(self) -> int:
        """As the configuration says, or ViT-H/14's."""
        return (self._architecture() or open_clip.VIT_H_14).side

    @property
    def length(self) -> int:
        """As the configuration says, or ViT-H/14's."""
        return (self._architecture() or open_clip.VIT_H_14).length

    def load(self) -> CLIPModel:
        """The model in float32 on the CPU, in eval mode."""
        path = self.files[0]
        state = read_tensors(self.scorer, path)
        found = open_clip.settings(self.scorer, path, state, self._architecture())
        where = f"{self.scorer}: {path}"
        return _assembled(where, _config(where, found), open_clip.converted(state), open_clip.spelled)

    def _architecture(self) -> open_clip.Architecture | None:
        return open_clip.read_architecture(self.scorer, self.files[1]) if self.config else None


def _config(where: str, found: dict[str, Any]) -> CLIPConfig:
    from transformers import CLIPConfig

    try:
        return CLIPConfig.from_dict(found)
    except Exception as error:  # the library validates field by field and raises what it likes
        raise UserError(f"{where}: no configuration of a CLIP ({' '.join(str(error).split())[:160]})") from None


def _assembled(where: str, config: CLIPConfig, state: Mapping[str, Tensor], spelled: Callable[[str], str]) -> CLIPModel:
    """A `CLIPModel` around ``state``, whose keys and shapes must be the model's; nothing is drawn or copied."""
    import torch
    from transformers import CLIPModel

    try:
        with torch.device("meta"):
            model = CLIPModel(config)
    except ValueError as error:  # a width that the heads do not divide
        raise UserError(f"{where}: no configuration of a CLIP ({error})") from None
    _check(where, {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, state, spelled)
    model.load_state_dict(dict(state), assign=True)
    for tower in (model.text_model.embeddings, model.vision_model.embeddings):
        tower.position_ids = torch.arange(tower.position_ids.shape[-1])[None]  # it is in no checkpoint
    return model.eval().requires_grad_(False)


def _check(
    where: str, wanted: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], spelled: Callable[[str], str]
) -> None:
    """Raises `UserError` for the first key that is missing, unexpected, or of another shape."""
    hint = "these are the weights of another model; check checkpoint and config"
    for name in [*wanted, *state]:
        if name not in state:
            raise UserError(f"{where}: {spelled(name)} is missing; {hint}")
        if name not in wanted:
            raise UserError(f"{where}: {spelled(name)} is unexpected; {hint}")
        if tuple(state[name].shape) != wanted[name]:
            shapes = f"{list(state[name].shape)} where the configuration wants {list(wanted[name])}"
            raise UserError(f"{where}: {spelled(name)} has the shape {shapes}; {hint}")
