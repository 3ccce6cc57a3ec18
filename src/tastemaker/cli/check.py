"""`tastemaker check`."""

from __future__ import annotations

from pathlib import Path


def run(recipe: Path, /, overrides: tuple[str, ...] = ()) -> None:
    """Show what a recipe would do: settings, pairs, steps, memory, files read and written. Nothing is run.

    Exit code 2 when something that it reads is missing.

    Args:
        recipe: YAML file, such as recipes/sd15/qsd-dpo.yaml.
        overrides: fields of the recipe to set, as in --train.lr 1e-4.
    """
    from tastemaker.base.errors import UserError
    from tastemaker.base.summary import show
    from tastemaker.train.plan import plan
    from tastemaker.train.recipe import read_any

    found = plan(read_any(recipe, overrides))
    show(found)
    for line in found["missing"]:
        raise UserError(f"{recipe}: {line}")


def details() -> str:
    """The recipe's fields."""
    from tastemaker.cli.train import details as fields

    return fields()
