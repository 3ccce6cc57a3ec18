"""Tiny random CLIPs as their authors lay them out, their tokenizer, and open_clip's arithmetic in plain torch."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear, normalize

State = dict[str, Tensor]
SIDE, PATCH, LENGTH, DIM = 8, 4, 12, 10
WIDTH, HEADS, LAYERS = 16, 2, 3
TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS = 12, 3, 2
LETTERS = "abcdefghijklmnopqrstuvwxyz&;!"
VOCABULARY = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
"""The end has the highest number, as in the real one: there open_clip looks for a text's embedding."""
MERGES = ["#version: 0.2", "c a", "ca t</w>"]
CONFIG = {
    "embed_dim": DIM,
    "vision_cfg": {"image_size": SIDE, "layers": LAYERS, "width": WIDTH, "head_width": 8, "patch_size": PATCH},
    "text_cfg": {"context_length": LENGTH, "width": TEXT_WIDTH, "heads": TEXT_HEADS, "layers": TEXT_LAYERS},
}
PROMPTS = ["a cat", "two dogs", "a cat on a very long wall", "x"]


def save_tokenizer(folder: Path) -> Path:
    """`vocab.json` and `merges.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(VOCABULARY)}))
    (folder / "merges.txt").write_text("\n".join(MERGES) + "\n")
    return folder


def save_open_clip(folder: Path, name: str, seed: int = 0) -> State:
    """Write ``name`` (float16, as HPSv2 ships), `config.json` of open_clip and the tokenizer; returns the weights."""
    save_tokenizer(folder)
    state = {key: value.half() for key, value in random_state(seed).items()}
    torch.save({"state_dict": state}, folder / name)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return {key: value.float() for key, value in state.items()}


def save_transformers(folder: Path, seed: int = 0, act: str = "gelu", old: bool = False) -> object:
    """Write `config.json`, weights and tokenizer as transformers does; ``old``: a `.bin` with `position_ids`."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    text = dict(hidden_size=TEXT_WIDTH, intermediate_size=48, num_hidden_layers=TEXT_LAYERS, vocab_size=len(VOCABULARY))
    text |= dict(
        num_attention_heads=TEXT_HEADS, max_position_embeddings=LENGTH, hidden_act=act, eos_token_id=2, bos_token_id=1
    )
    vision = dict(hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=HEADS)
    vision |= dict(image_size=SIDE, patch_size=PATCH, hidden_act=act)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIM)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.logit_scale.data.fill_(math.log(100))
    save_tokenizer(folder)
    model.save_pretrained(folder)
    if old:
        positions = {"text_model": LENGTH, "vision_model": 1 + (SIDE // PATCH) ** 2}
        extra = {f"{name}.embeddings.position_ids": torch.arange(rows)[None] for name, rows in positions.items()}
        torch.save(dict(model.state_dict()) | extra, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return model


def random_state(seed: int) -> State:
    """A state dict in open_clip's layout."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "positional_embedding": (LENGTH, TEXT_WIDTH),
        "text_projection": (TEXT_WIDTH, DIM),
        "logit_scale": (),
        "visual.class_embedding": (WIDTH,),
        "visual.positional_embedding": (1 + (SIDE // PATCH) ** 2, WIDTH),
        "visual.proj": (WIDTH, DIM),
        "visual.conv1.weight": (WIDTH, 3, PATCH, PATCH),
        "token_embedding.weight": (len(VOCABULARY), TEXT_WIDTH),
        **{f"visual.{name}.{part}": (WIDTH,) for name in ("ln_pre", "ln_post") for part in ("weight", "bias")},
        **{f"ln_final.{part}": (TEXT_WIDTH,) for part in ("weight", "bias")},
        **_tower("visual.", WIDTH, LAYERS),
        **_tower("", TEXT_WIDTH, TEXT_LAYERS),
    }
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _tower(prefix: str, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    sizes = {"attn.in_proj_": 3 * width, "attn.out_proj.": width, "mlp.c_fc.": 4 * width, "mlp.c_proj.": width}
    found: dict[str, tuple[int, ...]] = {}
    for block in (f"{prefix}transformer.resblocks.{layer}." for layer in range(layers)):
        found |= {f"{block}{norm}.{part}": (width,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
        for name, rows in sizes.items():
            columns = 4 * width if name == "mlp.c_proj." else width
            found |= {f"{block}{name}weight": (rows, columns), f"{block}{name}bias": (rows,)}
    return found


def pixels_of(image: Image.Image) -> Tensor:
    """Of an image that has the model's size already, by the definition: (x / 255 − mean) / std."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    return ((torch.tensor(np.array(image)) / 255 - mean) / std).permute(2, 0, 1)


def tokens_of(prompt: str) -> list[int]:
    """By hand: "cat" is one token, every other word is its letters, the last of which is marked as such."""
    words = [[*word[:-1], word[-1] + "</w>"] if word != "cat" else ["cat</w>"] for word in prompt.split()]
    inner = [VOCABULARY.index(token) for word in words for token in word][: LENGTH - 2]
    start, end = len(VOCABULARY) - 2, len(VOCABULARY) - 1
    return [start, *inner, end, *[0] * (LENGTH - 2 - len(inner))]


def image_features(state: State, pixels: Tensor) -> Tensor:
    """[n, DIM] of length 1 of pixels [n, 3, SIDE, SIDE], as open_clip's ViT computes them."""
    patches = conv2d(pixels, state["visual.conv1.weight"], stride=PATCH).flatten(2).transpose(1, 2)
    first = state["visual.class_embedding"].expand(len(pixels), 1, -1)
    x = torch.cat([first, patches], 1) + state["visual.positional_embedding"]
    x = _blocks(state, "visual.", _norm(state, "visual.ln_pre", x), HEADS, LAYERS, causal=False)
    return normalize(_norm(state, "visual.ln_post", x[:, 0]) @ state["visual.proj"], dim=-1)


def text_features(state: State, tokens: Tensor) -> Tensor:
    """[n, DIM] of length 1 of tokens [n, LENGTH], read at the highest token."""
    x = state["token_embedding.weight"][tokens] + state["positional_embedding"]
    x = _norm(state, "ln_final", _blocks(state, "", x, TEXT_HEADS, TEXT_LAYERS, causal=True))
    return normalize(x[torch.arange(len(tokens)), tokens.argmax(-1)] @ state["text_projection"], dim=-1)


def _blocks(state: State, prefix: str, x: Tensor, heads: int, layers: int, causal: bool) -> Tensor:
    for block in (f"{prefix}transformer.resblocks.{layer}." for layer in range(layers)):
        x = x + _attention(state, block, _norm(state, block + "ln_1", x), heads, causal)
        x = x + _map(
            state, block + "mlp.c_proj.", gelu(_map(state, block + "mlp.c_fc.", _norm(state, block + "ln_2", x)))
        )
    return x


def _attention(state: State, block: str, x: Tensor, heads: int, causal: bool) -> Tensor:
    n, rows, width = x.shape
    joint = _map(state, block + "attn.in_proj_", x).view(n, rows, 3, heads, width // heads)
    query, key, value = joint.permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / math.sqrt(width // heads)
    if causal:
        scores = scores + torch.full((rows, rows), -math.inf).triu(1)
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(n, rows, width)
    return _map(state, block + "attn.out_proj.", mixed)


def _map(state: State, name: str, x: Tensor) -> Tensor:
    return linear(x, state[name + "weight"], state[name + "bias"])


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:], state[name + ".weight"], state[name + ".bias"])


def images(count: int, size: tuple[int, int] = (SIDE, SIDE)) -> list[Image.Image]:
    """RGB noise."""
    drawn = np.random.default_rng(7).integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)
    return [Image.fromarray(pixels) for pixels in drawn]
