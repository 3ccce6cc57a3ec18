"""The model card: what was trained on what and how, how well, and how to use it (Markdown with the hub's header)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.base import files, summary
from tastemaker.train.inputs import looks_local
from tastemaker.train.recipe import WAITING, D3po, Recipe, flat

if TYPE_CHECKING:
    from tastemaker.method.method import Method
    from tastemaker.train.config import Source
    from tastemaker.train.recipe import Shared

NAME = "README.md"
Format = Literal["lora", "kohya", "merged"]
"""A file that diffusers and peft read, one that ComfyUI and A1111 read, a whole pipeline folder."""


def card(recipe: Shared, run: Mapping[str, Any], form: Format, weights: str, place: str = ".") -> str:
    """The card of ``recipe``'s weights in the format ``form``.

    ``run`` holds what `summary.json` says of it: ``steps``, ``pairs_seen``, ``last`` (metrics) and ``versions``.
    ``weights`` is the file or folder of the weights, ``place`` the folder or hub id where a reader finds it.
    """
    return CARD.format(
        header=header(recipe, form),
        base=recipe.model,
        what=recipe.adapter.title if form != "merged" else recipe.adapter.merged_title,
        average="The weights are the moving average over the run.\n" if recipe.train.ema else "",
        usage=USAGE[form].format(base=recipe.model, file=weights, place=place),
        data=_data(recipe, run),
        method="\n".join(f"- **{part}**: {words}" for part, words in in_words(recipe.method).items()),
        seed=recipe.train.seed,
        metrics=_table(run["last"]) if run["last"] else "none logged",
        settings=_table(flat(recipe.model_dump(mode="json", exclude={"card"}))),
        versions=_table(run["versions"]),
        license=LICENSED.format(recipe.card.license) if recipe.card.license else UNLICENSED,
    )


def header(recipe: Shared, form: Format) -> str:
    """What the hub reads, in YAML. A base model that is a folder here has no name there, so only the text names it."""
    from huggingface_hub import ModelCardData

    relation = "finetune" if form == "merged" else recipe.adapter.relation
    base: dict[str, Any] = {"base_model": recipe.model, "base_model_relation": relation}
    adapter = ["lora", "template:sd-lora"] if form != "merged" else list(recipe.adapter.tags)
    data = ModelCardData(
        library_name="diffusers",
        pipeline_tag="text-to-image",
        tags=["text-to-image", "diffusers", "preference", recipe.method.link.kind, "tastemaker", *adapter],
        license=recipe.card.license,
        datasets=list(recipe.card.datasets) or None,
        **{} if looks_local(recipe.model) else base,
    )
    return data.to_yaml()


def in_words(method: Method) -> dict[str, str]:
    """Evidence, credit and link, each by the first line of its own documentation: name, equation, source."""
    parts = {
        "Evidence": method.evidence,
        "Credit, which steps": method.credit.when,
        "Credit, how much each counts": method.credit.weight,
        "Credit, correction": method.credit.correction,
        "Link": method.link,
    }
    return {name: _words(part) for name, part in parts.items() if part is not None}


def _words(part: Any) -> str:
    first = (inspect.getdoc(type(part)) or "").partition("\n")[0]
    fields = ", ".join(f"{name} {_cell(value)}" for name, value in part.model_dump(exclude={"kind"}).items())
    return f"{first} ({fields})" if fields else first


def _data(recipe: Shared, run: Mapping[str, Any]) -> str:
    seen = f"{run['pairs_seen']} pairs in {{}} order, {run['steps']} optimizer steps."
    match recipe:
        case Recipe():
            lines = [seen.format(recipe.data.order), "", *map(_source, recipe.data.sources)]
        case D3po():
            lines = [seen.format("random"), "", *_rounds(recipe)]
    return "\n".join(lines + [f"- data set: `{name}`" for name in recipe.card.datasets])


def _source(source: Source) -> str:
    return f"- `{source.pairs}`, weight {source.weight:g}{_ranked(source.pairs)}"


def _rounds(recipe: D3po) -> list[str]:
    rounds, rollout = recipe.rounds, recipe.rollout
    feedback = recipe.feedback.model_dump(mode="json", exclude=WAITING, exclude_none=True)
    judge = {name: value for name, value in feedback.items() if value}
    said = ", ".join(f"{name} {_cell(value)}" for name, value in judge.items())
    return [
        f"- {rounds.count} rounds of {rounds.prompts} prompts from `{rollout.prompts}`, {rollout.images} images each, "
        "drawn by the model as it learned",
        f"- which of them are better was said by: {said}",
    ]


def _ranked(folder: str) -> str:
    """How the pairs were ranked, where the folder still says it."""
    path = Path(folder) / summary.NAME
    ranked = files.read_json(path) if path.is_file() else {}
    said = {name: ranked[name] for name in ("scorer", "pairs", "kept") if name in ranked}
    return f" ({', '.join(f'{name} {value}' for name, value in said.items())})" if said else ""


def _table(rows: Mapping[str, Any]) -> str:
    cells = (f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return "\n".join(["| | |", "| --- | --- |", *cells])


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").split())


IMAGE = """\
image = pipe("a photo of a fox in the snow").images[0]
```
"""
FROM_LORA = """\
```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("{base}")
pipe.load_lora_weights("{place}", weight_name="{file}")
"""
COMFY = """
In ComfyUI put `{file}` into `models/loras` and load it with the node "Load LoRA" (in A1111: `models/Lora`), strength 1,
over the base model. There is no trigger word.
"""
USAGE: dict[str, str] = {
    "lora": FROM_LORA
    + IMAGE
    + """
There is no trigger word. ComfyUI and A1111 read another format, which `tastemaker export RUN --format kohya` writes.
""",
    "kohya": FROM_LORA + IMAGE + COMFY,
    "merged": """\
```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("{place}")
"""
    + IMAGE,
}
LICENSED = "The weights are under {}; what the base model's own licence asks for holds as well."
UNLICENSED = "None was given. What the base model's licence asks for holds for these weights as well."
CARD = """\
---
{header}
---
# {base}, tuned on preferences

{what} of `{base}`, trained with [Tastemaker](recipe.yaml) on images that were judged better or worse than others.
{average}
{usage}
## Data

{data}

## Method

{method}

Every draw is a function of the seed, {seed}, and of the pair.

## Metrics at the end of training

{metrics}

## Settings

{settings}

## Versions

{versions}

## Licence

{license}
"""
