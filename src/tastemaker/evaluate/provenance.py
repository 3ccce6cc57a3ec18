"""Which scorers took part in training the model that drew a folder of images, as far as files beside it still say.

`settings.json` names the adapter or the model; if that lies in a run's folder, the run's recipe names its ranked pairs
or its source of feedback, and those the scorers. A scorer is known by its name, the part before the @: another revision
of it is no independent judge either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tastemaker.base.config import read_yaml
from tastemaker.base.errors import UserError
from tastemaker.evaluate import images as generated
from tastemaker.evaluate.weights import RECIPE, is_checkpoint

MODEL = "model"


def taught_by(images: Path, scorers: Sequence[str]) -> list[str]:
    """Those of ``scorers`` (ids) that took part in training the model behind an IMAGES folder."""
    used = {name for run in _runs(generated.settings(images)) for name in _names(run / RECIPE)}
    return [scorer for scorer in scorers if _name(scorer) in used]


def _runs(settings: dict[str, Any]) -> Iterator[Path]:
    """Folders that may be the run's: RUN/adapter, RUN or RUN/model, and RUN/checkpoints/step-000100 of either."""
    for place in (Path(settings[name]) for name in ("adapter", "model") if settings.get(name)):
        if is_checkpoint(place):
            yield place.parent.parent
        elif place.suffix or place.name == MODEL:
            yield place.parent
        else:
            yield place


def _names(recipe: Path) -> set[str]:
    """Names of the scorers behind a recipe; none where it is missing or its ranked pairs are."""
    tree: dict[str, Any] = {}
    with suppress(UserError):
        tree = read_yaml(recipe)
    return {_name(scorer) for section in (_ranked(tree), _asked(tree)) for scorer in section}


def _ranked(tree: dict[str, Any]) -> list[str]:
    """Scorers that ranked the pairs of a recipe of `train`."""
    from tastemaker.rank.pairs import read_settings

    pairs = _section(tree, "data").get("pairs") or []
    folders = [pairs] if isinstance(pairs, str) else [source["pairs"] for source in pairs if "pairs" in source]
    found: list[str] = []
    for folder in folders:
        with suppress(UserError):
            found += _texts(read_settings(Path(folder)).get("scorer"))
    return found


def _asked(tree: dict[str, Any]) -> list[str]:
    """Scorers that judged the images of a recipe of `d3po`."""
    feedback = _section(tree, "feedback")
    return _texts(feedback.get("scorers")) + _texts(feedback.get("scorer"))


def _section(tree: dict[str, Any], name: str) -> dict[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _name(scorer: str) -> str:
    """``pickscore`` of ``pickscore@1a2b3c4d5e6f`` and of ``pickscore:dtype=float16``."""
    return re.split("[@:]", scorer, maxsplit=1)[0]
