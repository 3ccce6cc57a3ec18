"""`tastemaker train`."""

from __future__ import annotations

from pathlib import Path


def run(recipe: Path, /, overrides: tuple[str, ...] = ()) -> None:
    """Train an adapter or a whole model by a recipe.

    Any field of the recipe can be set on the command line, as in --train.lr 1e-4. A stopped run goes on where it was
    when the same command is given again.

    Args:
        recipe: YAML file, such as recipes/sd15/qsd-dpo.yaml.
        overrides: fields of the recipe to set, as in --train.lr 1e-4.
    """
    from tastemaker.base.summary import show
    from tastemaker.train.recipe import read_recipe
    from tastemaker.train.training import train

    show(train(read_recipe(recipe, overrides)))


def details() -> str:
    """The recipe's fields."""
    from tastemaker.base.config import field_help
    from tastemaker.train.recipe import Recipe

    return f"\nfields of a recipe:\n{field_help(Recipe)}"
