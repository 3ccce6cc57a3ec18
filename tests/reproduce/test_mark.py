"""A folder of results is that of one profile, data, models and prompts; anything else is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.reproduced import by_hand
from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.reproduce import mark
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.runs import Shop

CHANGES = {
    "profile": {"name": "paper"},
    "data": {"data": "elsewhere.parquet"},
    "set of prompts that choose": {"tune": lambda: ["another"]},
    "set of prompts that are reported": {"test": lambda: ["another"]},
    "list of scorers that rank": {"rankers": {"world": "world:noise=2"}},
    "list of judges": {"judges": (Judge("world", "utility"),)},
    "number of checkpoints": {"checkpoints": 9},
    "list of online tasks": {"online": {}},
}


def changed(shop: Shop, **fields: Any) -> Shop:
    return replace(shop, profile=replace(shop.profile, **fields))


def test_the_same_profile_goes_on_in_its_folder(tmp_path: Path) -> None:
    shop = by_hand(tmp_path)
    mark.check(shop)
    assert not list(tmp_path.iterdir()), "looking leaves nothing"
    mark.leave(shop)
    mark.leave(by_hand(tmp_path))
    assert set(read_json(tmp_path / mark.NAME)) == {*CHANGES, "base model"}


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_changed_is_named(tmp_path: Path, name: str) -> None:
    mark.leave(by_hand(tmp_path))
    other = changed(by_hand(tmp_path), **CHANGES[name])
    for look in (mark.check, mark.leave):
        with pytest.raises(UserError, match=rf"^--out .*: holds results of another {name} \(profile\.json\); choose"):
            look(other)


@pytest.mark.parametrize("field", [{"base": "elsewhere"}, {"steps": 7}, {"guidance": 2.0}, {"rank": 4}, {"tree": {}}])
def test_another_base_model_or_recipe_is_refused(tmp_path: Path, field: dict[str, Any]) -> None:
    shop = by_hand(tmp_path)
    mark.leave(shop)
    model = replace(shop.profile.models["world"], **field)
    with pytest.raises(UserError, match="another base model"):
        mark.check(changed(shop, models={"world": model}))


def test_the_place_of_the_package_does_not_matter(tmp_path: Path) -> None:
    found = mark.of(by_hand(tmp_path).profile)
    assert found["data"].startswith("tastemaker/world/assets/")
    assert found["base model"]["world"][0].startswith("tastemaker/world/assets/")
