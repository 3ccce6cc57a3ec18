"""The data card of an exported subset: whence, how ranked, what was kept and dropped, and what it is not.

Markdown with the header that the Hugging Face hub reads. The same inputs give the same card.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tastemaker import __version__
from tastemaker.rank.choose import Cut
from tastemaker.rank.layouts import LAYOUTS, Format
from tastemaker.rank.provenance import Facts

NAME = "README.md"
SHOWN = 8
"""Files of the source that are named."""
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
"""Rows below this → the hub's size category."""
SIMPLE = {"scorer", "calibration", "cut", "quality_at_cut"}
"""The metadata of a ranking of one scorer whose choices are all in the cut: its command can be written down whole."""


def card(facts: Facts) -> str:
    """The data card as Markdown."""
    license = facts.export.license
    return CARD.format(
        header=header(facts),
        what=WHAT[facts.singles],
        rows=f"{facts.kept:,}",
        layouts="\n".join(_layout(form, facts) for form in facts.export.formats),
        numbers=", ".join(f"`{name}`" for name in facts.columns),
        first=facts.export.formats[0],
        sources="\n".join(_sources(facts)),
        worth=WORTH[facts.singles],
        ranking=_table({**facts.settings, "least quality that is kept": facts.lowest}),
        counts=_table(_counts(facts)),
        agreement=agreement(facts),
        prompts=_prompts(facts),
        commands="\n".join([*rank_again(facts), facts.export.command]),
        versions=_table(
            {"tastemaker": __version__, "ranked by tastemaker": facts.ranking.get("tastemaker", "unknown")}
        ),
        license=LICENSED.format(license) if license else UNLICENSED,
    )


def header(facts: Facts) -> str:
    """What the hub reads, in YAML; the first format is the one that is loaded unless another is asked for."""
    from huggingface_hub import DatasetCardData

    license = facts.export.license
    configs: list[dict[str, Any]] = [
        {"config_name": form, "data_files": [{"split": "train", "path": f"{form}/train-*.parquet"}]}
        for form in facts.export.formats
    ]
    configs[0]["default"] = True
    data = DatasetCardData(
        license=license or "other",
        task_categories=["text-to-image"],
        size_categories=[size_category(facts.kept)],
        tags=["text-to-image", "verdicts" if facts.singles else "preference", "human-feedback", "tastemaker"],
        configs=configs,
    )
    if not license:
        data["license_name"] = "unknown"
    text: str = data.to_yaml()
    return text


def size_category(rows: int) -> str:
    """The hub's word for so many rows."""
    return next((name for limit, name in SIZES if rows < limit), "n>10M")


def agreement(facts: Facts) -> str:
    """In which share people and scorer disagree."""
    if facts.disagree is None:
        misplaced = facts.ranking.get("share_disliked_above_liked")
        return "" if misplaced is None else MISPLACED.format(misplaced)
    every = facts.ranking.get("share_loser_above_winner")
    said = f"In {facts.disagree:.1%} of the kept pairs ψ of the loser is above ψ of the winner"
    return f"{said}." if every is None else f"{said}; of all pairs that could be ranked, in {every:.1%}."


def rank_again(facts: Facts) -> list[str]:
    """The command of the ranking, as far as its metadata can be written as options, and a word where they cannot.

    Options that stand at their default are left out.
    """
    scorers = facts.settings.get("scorer") or []
    words = ["tastemaker", "rank", str(facts.export.data), "--out", str(facts.export.ranked)]
    words += ["--scorer", *([scorers] if isinstance(scorers, str) else map(str, scorers))]
    if (only := facts.ranking.get("only")) is not None:
        words += ["--only", str(only)]
    if isinstance(scorers, str):
        words += _calibration(facts.settings.get("calibration") or {})
    words += _options(facts.settings.get("cut") or {})
    more = sorted(facts.settings.keys() - SIMPLE)
    return [*([f"# and the options that say {', '.join(more)} (table above)"] if more else []), shlex.join(words)]


def _options(cut: Mapping[str, Any]) -> list[str]:
    """The options of a cut; a choice is there when it is neither nothing nor the default."""
    default = asdict(Cut())
    given = {name: value for name, value in cut.items() if value not in (None, False, default.get(name))}
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _calibration(said: Mapping[str, Any]) -> list[str]:
    """The option that asks for this map again; mean and deviation come from the scores."""
    match said.get("kind"):
        case "identity":
            return ["--calibration", "identity"]
        case "range":
            return ["--calibration", f"range:{said['low']!r},{said['high']!r}"]
        case "standardise":
            return ["--calibration", f"standardise:{said['clip']!r}"]
        case _:
            return []


def _layout(form: Format, facts: Facts) -> str:
    columns = [name for name in LAYOUTS[form, facts.singles].schema.names if not name.startswith("__")]
    return f"- `{form}/`: {', '.join(f'`{name}`' for name in columns)}"


def _sources(facts: Facts) -> list[str]:
    known = [name for name in ("source", "format", "rows", "quarantined") if name in facts.imported]
    named = sorted(facts.sources.items())
    lines = [f"- {name}: {_code(facts.imported[name])}" for name in known]
    lines += [f"- {count:,} comparisons from {_code(name or 'an unnamed file')}" for name, count in named[:SHOWN]]
    return lines + ([f"- and {len(named) - SHOWN:,} more files"] if len(named) > SHOWN else [])


def _counts(facts: Facts) -> dict[str, Any]:
    rows: dict[str, Any] = {"looked at": facts.kept + sum(facts.dropped.values())}
    rows |= {f"dropped: {reason}": count for reason, count in sorted(facts.dropped.items())} | {"kept": facts.kept}
    return rows | {f"of these, origin {origin}": count for origin, count in sorted(facts.origins.items())}


def _prompts(facts: Facts) -> str:
    head = "| | rows | prompts | most of one prompt | share of the top 1 % | effective prompts | Gini |"
    rows = [
        f"| {name} | {said['rows']} | {said['prompts']} | {said['most']} | {said['top_percent']:.1%} "
        f"| {said['effective']:.1f} | {said['gini']:.2f} |"
        for name, said in facts.spread.items()
    ]
    return "\n".join([head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |", *rows])


def _table(rows: Mapping[str, Any]) -> str:
    cells = (f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return "\n".join(["| | |", "| --- | --- |", *cells])


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(item)}" for name, item in value.items() if item is not None)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_cell, value))
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.replace("|", "\\|").split())


def _code(value: Any) -> str:
    return f"`{' '.join(str(value).replace('`', chr(39)).split())}`"


WHAT = {False: "pairs of images, each with the prompt and the image that people preferred",
        True: "single images, each with its prompt and whether people liked it"}  # fmt: skip
WORTH = {
    False: """\
A scorer that has not seen the labels gives each image a raw score; the calibration maps it to ψ in [0, 1]. A pair with
winner w and loser l has the quality Q = ψ(w) · (1 − ψ(l)) (DPO-QSD, openreview t4xD6KBql7). Only its order means
something, and only within these data. The table says if the ranking went by another worth, or changed labels.""",
    True: """\
A scorer that has not seen the verdicts gives each image a raw score; the calibration maps it to ψ in [0, 1]. A liked
image has the quality Q = ψ, a disliked one Q = 1 − ψ. Only its order means something, and only within these data.""",
}
MISPLACED = (
    "Of all pairings of a liked with a disliked image, ψ of the disliked one is higher in {:.1%}, ties counted ½."
)
LICENSED = "The selection is under {}. The licence of the images and prompts is that of their source, and stays so."
UNLICENSED = "None was given. The licence of the images and prompts is that of their source, and stays so."
CARD = """\
---
{header}
---
# {rows} ranked {what}

Chosen by [Tastemaker](summary.json) from a larger set of judgements, in the order in which training reads them: the
best lessons first, unless the ranking says otherwise.

{layouts}

Each row has the numbers of its ranking as well: {numbers}. Image bytes are those of the source, unchanged, and an
image's uid is the SHA-256 of them. What is not known is null.

```python
from datasets import load_dataset

rows = load_dataset("parquet", data_files="{first}/train-*.parquet", split="train")
```

## Source

{sources}

## Ranking

{worth}

{ranking}

{agreement}

## What was kept

{counts}

## Prompts

{prompts}

Effective prompts is e to the entropy of the prompts' shares: so many, evenly used, would be as various.

## What it is not

- No random sample: what the scorer is unsure of, or contradicts, is missing, so no rate among people can be read off.
- No new judgement: labels are those of the source, but for rows whose `origin` says otherwise; some are wrong.
- No test set: the scorer that chose it is no independent judge of a model that learned from it.
- No permission: whether the images and prompts may be used and passed on is for their source to say. Prompts may name
  living people, and nothing here was looked at for what is unfit to be shown.

## To make it again

```bash
{commands}
```

{versions}

## Licence

{license}
"""
