"""open_clip's layout: names by hand, the arithmetic against plain torch, golden values, wrong checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from support.clip import (
    CONFIG,
    LAYERS,
    PROMPTS,
    image_features,
    images,
    pixels_of,
    random_state,
    save_open_clip,
    text_features,
    tokens_of,
)
from tastemaker.base.errors import UserError
from tastemaker.score.clip.open_clip import Architecture, converted, read_architecture, settings, spelled
from tastemaker.score.clip.weights import OpenClipFile

BLOCK, LAYER = "visual.transformer.resblocks.1.", "vision_model.encoder.layers.1."


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("logit_scale", "logit_scale"),
        ("visual.proj", "visual_projection.weight"),
        ("text_projection", "text_projection.weight"),
        ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
        ("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
        ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
        ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
        ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
        ("visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"),
        ("visual.ln_post.weight", "vision_model.post_layernorm.weight"),
        ("ln_final.weight", "text_model.final_layer_norm.weight"),
        (BLOCK + "ln_1.weight", LAYER + "layer_norm1.weight"),
        (BLOCK + "ln_2.bias", LAYER + "layer_norm2.bias"),
        (BLOCK + "attn.out_proj.weight", LAYER + "self_attn.out_proj.weight"),
        (BLOCK + "mlp.c_fc.weight", LAYER + "mlp.fc1.weight"),
        (BLOCK + "mlp.c_proj.bias", LAYER + "mlp.fc2.bias"),
        ("transformer.resblocks.0.mlp.c_fc.bias", "text_model.encoder.layers.0.mlp.fc1.bias"),
    ],
)
def test_names(old: str, new: str) -> None:
    assert list(converted({old: torch.zeros(1, 1)})) == [new]
    assert spelled(new) == old


def test_joint_matrices_are_cut_in_three_and_projections_transposed() -> None:
    found = converted({BLOCK + "attn.in_proj_bias": torch.arange(6), "visual.proj": torch.tensor([[1, 2], [3, 4]])})
    assert {name.removeprefix(LAYER): part.tolist() for name, part in found.items()} == {
        "self_attn.q_proj.bias": [0, 1],
        "self_attn.k_proj.bias": [2, 3],
        "self_attn.v_proj.bias": [4, 5],
        "visual_projection.weight": [[1, 3], [2, 4]],
    }
    assert spelled(LAYER + "self_attn.k_proj.bias") == BLOCK + "attn.in_proj_bias"


def test_the_mask_is_computed_and_left_out() -> None:
    assert converted({"attn_mask": torch.zeros(3, 3)}) == {}


@pytest.mark.parametrize("wrapped", [False, True])
def test_architecture_from_open_clips_json(tmp_path: Path, wrapped: bool) -> None:
    """16 wide at 8 a head is 2 heads; without ``head_width`` a head is 64 wide."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_cfg": CONFIG} if wrapped else CONFIG))
    assert read_architecture("s", path) == Architecture(2, 3, "gelu", 8, 12)
    large = {"vision_cfg": {"width": 1024, "image_size": 336}, "text_cfg": {"heads": 12}, "quick_gelu": True}
    path.write_text(json.dumps(large))
    assert read_architecture("s", path) == Architecture(16, 12, "quick_gelu", 336, 77)


@pytest.mark.parametrize("wrong", ["[]", "{}", '{"vision_cfg": {"width": "wide"}, "text_cfg": {}}', '{"model_cfg": 3}'])
def test_another_json_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "config.json").write_text(wrong)
    with pytest.raises(UserError, match=r"^s: .*config.json: not an open_clip config of a ViT"):
        read_architecture("s", tmp_path / "config.json")


def test_embeddings_are_those_of_plain_torch(tmp_path: Path) -> None:
    state = save_open_clip(tmp_path, "w.pt")
    model = OpenClipFile("s", str(tmp_path), "w.pt", str(tmp_path / "config.json")).load()
    pixels = torch.stack([pixels_of(image) for image in images(4)])
    tokens = torch.tensor([tokens_of(prompt) for prompt in PROMPTS])
    seen, read = model.get_image_features(pixels).pooler_output, model.get_text_features(tokens).pooler_output
    assert (torch.nn.functional.normalize(seen) - image_features(state, pixels)).abs().max() < 1e-5
    assert (torch.nn.functional.normalize(read) - text_features(state, tokens)).abs().max() < 1e-5
    assert model.logit_scale == state["logit_scale"]
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_golden_embeddings_that_open_clip_computed(shared_data: Path, tmp_path: Path) -> None:
    """Of a small random CLIP in HPSv2's layout, before they get length 1; they are about 6.5 long."""
    golden = shared_data / "golden"
    known = torch.load(golden / "hpsv2_tiny_io.pt", weights_only=True)
    config = golden_config(golden)
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = OpenClipFile("s", str(golden), "hpsv2_tiny.pt", str(tmp_path / "config.json")).load()
    seen = model.get_image_features(known["pixels"]).pooler_output
    read = model.get_text_features(known["tokens"]).pooler_output
    assert (seen - known["image_features"]).abs().max() < 1e-5
    assert (read - known["text_features"]).abs().max() < 1e-5
    assert (torch.cosine_similarity(seen, read) - known["cosine"]).abs().max() < 1e-5


def golden_config(golden: Path) -> dict:
    """The golden architecture as open_clip writes it."""
    known = json.loads((golden / "hpsv2_tiny.json").read_text())["architecture"]
    vision = known["vision"]
    vision["head_width"] = vision["width"] // vision.pop("heads")
    return {"embed_dim": known["embed_dim"], "vision_cfg": vision, "text_cfg": known["text"]}


def test_vit_h_14_is_known_without_a_config() -> None:
    """Published sizes (scorers.md 1.3): 1280/5120/16 heads/32 layers, 1024/4096/16/24, 224 pixels by 14, 1024."""
    state = {
        "visual.ln_post.weight": torch.empty(1280, device="meta"),
        "ln_final.weight": torch.empty(1024, device="meta"),
        "visual.conv1.weight": torch.empty(1280, 3, 14, 14, device="meta"),
        "visual.proj": torch.empty(1280, 1024, device="meta"),
        "token_embedding.weight": torch.empty(49408, 1024, device="meta"),
    }
    for prefix, layers, width in (("visual.", 32, 1280), ("", 24, 1024)):
        for layer in range(layers):
            block = f"{prefix}transformer.resblocks.{layer}."
            state[block + "ln_1.weight"] = torch.empty(width, device="meta")
            state[block + "mlp.c_fc.weight"] = torch.empty(4 * width, width, device="meta")
    found = settings("s", Path("w.pt"), state, None)
    sizes = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "hidden_act")
    assert [found["vision_config"][size] for size in sizes] == [1280, 5120, 16, 32, "gelu"]
    assert [found["text_config"][size] for size in sizes] == [1024, 4096, 16, 24, "gelu"]
    assert found["vision_config"]["image_size"] == 16 * found["vision_config"]["patch_size"] == 224
    assert found["text_config"]["max_position_embeddings"] == 77
    assert found["projection_dim"] == 1024


def change(state: dict, edit: str) -> dict:
    if edit == "missing":
        del state["visual.ln_pre.bias"]
    elif edit == "unexpected":
        state["visual.extra.weight"] = torch.ones(1)
    elif edit == "shape":
        state["visual.positional_embedding"] = torch.ones(17, 16)
    elif edit == "blip":
        state = {"blip.visual_encoder.cls_token": torch.ones(1)}
    return state


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("missing", "visual.ln_pre.bias is missing; these are the weights of another model"),
        ("unexpected", "visual.extra.weight is unexpected"),
        ("shape", "visual.positional_embedding has the shape [17, 16] where the configuration wants [5, 16]"),
        ("blip", "no CLIP in open_clip's layout: visual.ln_post.weight is missing"),
    ],
)
def test_wrong_checkpoints_are_told_in_the_files_own_names(tmp_path: Path, edit: str, message: str) -> None:
    save_open_clip(tmp_path, "w.pt")
    torch.save(change(random_state(0), edit), tmp_path / "w.pt")
    with pytest.raises(UserError) as caught:
        OpenClipFile("hpsv2", str(tmp_path), "w.pt", str(tmp_path / "config.json")).load()
    assert str(caught.value).startswith(f"hpsv2: {tmp_path / 'w.pt'}: {message}")
    assert "\n" not in str(caught.value)


def test_another_size_needs_a_config(tmp_path: Path) -> None:
    save_open_clip(tmp_path, "w.pt")
    said = (
        rf"width 16, layers {LAYERS}, text width 12, text layers 2 is no ViT-H/14; give open_clip's JSON with config="
    )
    with pytest.raises(UserError, match=said):
        OpenClipFile("hpsv2", str(tmp_path), "w.pt").load()
    with pytest.raises(UserError, match="hpsv2: config=/none: no such file"):
        OpenClipFile("hpsv2", str(tmp_path), "w.pt", "/none").load()


def test_heads_that_do_not_divide_the_width(tmp_path: Path) -> None:
    save_open_clip(tmp_path, "w.pt")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"text_cfg": {"heads": 5, "context_length": 12}}))
    with pytest.raises(UserError, match="no configuration of a CLIP") as caught:
        OpenClipFile("hpsv2", str(tmp_path), "w.pt", str(tmp_path / "config.json")).load()
    assert "\n" not in str(caught.value)
