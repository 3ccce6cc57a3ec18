"""The model card: what the hub reads, and what a reader is told."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import ModelCard

from tastemaker.train.card import card, header, in_words
from tastemaker.train.recipe import Recipe

RUN = {"steps": 3, "pairs_seen": 24, "last": {"loss": 0.69, "accuracy": 0.5}, "versions": {"torch": "2.13"}}


def recipe(**changed: Any) -> Recipe:
    tree = {"model": "owner/base", "data": {"pairs": "ranked", "cache": "c"}, "adapter": {"kind": "lora"}, "out": "o"}
    return Recipe.model_validate(tree | {"method": {}} | changed)


def parsed(found: Recipe, form: Any = "lora", place: str = ".") -> tuple[dict[str, Any], str]:
    made = ModelCard(card(found, RUN, form, "x.safetensors", place))
    return made.data.to_dict(), made.text


def test_the_hub_reads_the_header() -> None:
    data, _ = parsed(recipe(card={"license": "apache-2.0", "datasets": ["yuvalkirstain/pickapic_v2"]}))
    assert data["base_model"] == "owner/base"
    assert data["base_model_relation"] == "adapter"
    assert (data["library_name"], data["pipeline_tag"]) == ("diffusers", "text-to-image")
    assert (data["license"], data["datasets"]) == ("apache-2.0", ["yuvalkirstain/pickapic_v2"])
    assert {"lora", "template:sd-lora", "text-to-image", "logistic"} <= set(data["tags"])


def test_a_merged_model_is_no_adapter() -> None:
    data, text = parsed(recipe(), "merged")
    assert data["base_model_relation"] == "finetune"
    assert "template:sd-lora" not in data["tags"]
    assert 'from_pretrained(".")' in text
    assert "load_lora_weights" not in text


def test_a_folder_here_is_no_name_on_the_hub() -> None:
    """The hub refuses a card whose base model is a path."""
    data, text = parsed(recipe(model="/models/mine"))
    assert "base_model" not in data
    assert "base_model_relation" not in data
    assert "/models/mine" in text


def test_without_a_licence_none_is_claimed() -> None:
    data, text = parsed(recipe())
    assert "license" not in data
    assert "None was given" in text
    assert "under apache-2.0" in parsed(recipe(card={"license": "apache-2.0"}))[1]


def test_the_text_says_data_method_metrics_seed_and_versions() -> None:
    weighted = [{"pairs": "one", "weight": 3}, {"pairs": "two"}]
    _, text = parsed(recipe(data={"pairs": weighted, "cache": "c"}, train={"seed": 17, "ema": 0.9}))
    for said in (
        "24 pairs in random order, 3 optimizer steps",
        "`one`, weight 3",
        "`two`, weight 1",
        "Diffusion-DPO: −log σ(z)",
        "the seed, 17,",
        "| loss | 0.69 |",
        "| torch | 2.13 |",
        "moving average",
    ):
        assert said in text


def test_every_part_of_a_method_is_named_with_its_source_and_setting() -> None:
    method = {
        "link": {"kind": "squared", "beta": 100},
        "credit": {"weight": {"kind": "single-shot"}, "correction": {"kind": "stepwise"}},
    }
    words = in_words(recipe(method=method).method)
    assert list(words) == [
        "Evidence",
        "Credit, which steps",
        "Credit, how much each counts",
        "Credit, correction",
        "Link",
    ]
    assert words["Link"].startswith("IPO: (z − ½)²")
    assert words["Link"].endswith("(beta 100)")
    assert "DDE" in words["Credit, how much each counts"]
    assert "Credit, correction" not in in_words(recipe().method)


@pytest.mark.parametrize(("form", "said"), [("kohya", "models/loras"), ("lora", "--format kohya")])
def test_it_says_how_comfyui_gets_it(form: Any, said: str) -> None:
    assert said in parsed(recipe(), form)[1]


def test_on_the_hub_the_code_names_the_repository() -> None:
    assert 'load_lora_weights("me/tuned", weight_name="x.safetensors")' in parsed(recipe(), place="me/tuned")[1]


def test_a_hostile_folder_name_stays_in_its_cell() -> None:
    data, text = parsed(recipe(out="a|b\n---\nlicense: mit", model="/x\n---\nlicense: mit"))
    assert "license" not in data
    assert "| out | a\\|b --- license: mit |" in text


def test_header_is_yaml_without_python_tags() -> None:
    assert "!!python" not in header(recipe(card={"license": "mit"}), "lora")
