"""What a folder of results was made of, so that stages of another profile, data or prompts are never taken for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce.profile import Model, Profile
from tastemaker.reproduce.runs import Shop

NAME = "profile.json"
PACKAGE = str(Path(__file__).resolve().parents[1])


def of(profile: Profile) -> dict[str, Any]:
    """All that the stages of ``profile`` depend on besides arm and seed, by the words in which a change is told."""
    return {
        "profile": profile.name,
        "data": f"{_plain(profile.data)} {profile.split or ''}".strip(),
        "base model": {name: _model(model) for name, model in profile.models.items()},
        "set of prompts that choose": _sha(profile.tune()),
        "set of prompts that are reported": _sha(profile.test()),
        "list of scorers that rank": dict(profile.rankers),
        "list of judges": {judge.name: judge.spec for judge in profile.judges},
        "number of checkpoints": profile.checkpoints,
        "list of online tasks": {
            name: [_model(task.model), _sha(task.sampled()), _sha(task.test()), [judge.spec for judge in task.judges]]
            for name, task in profile.online.items()
        },
    }


def check(shop: Shop) -> None:
    """Raise `UserError` where OUT holds results of something else."""
    place = shop.out / NAME
    if not place.is_file():
        return
    there, here = read_json(place), json.loads(json.dumps(of(shop.profile)))
    if changed := [name for name in here if not isinstance(there, dict) or there.get(name) != here[name]]:
        raise UserError(f"--out {shop.out}: holds results of another {changed[0]} ({place.name}); choose a new folder")


def leave(shop: Shop) -> None:
    """`check`, and mark a new folder."""
    check(shop)
    if not (shop.out / NAME).is_file():
        write_json(shop.out / NAME, of(shop.profile))


def _model(model: Model) -> list[Any]:
    how = [model.rank, model.steps, model.guidance, model.dtype]
    return [_plain(model.base), hashlib.sha256(json.dumps(model.tree, sort_keys=True).encode()).hexdigest(), *how]


def _plain(path: str) -> str:
    """What lies in the package is the same wherever it is installed."""
    return path.replace(PACKAGE, "tastemaker")


def _sha(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
