"""`tastemaker d3po`."""

from __future__ import annotations

from pathlib import Path


def run(recipe: Path, /, overrides: tuple[str, ...] = ()) -> None:
    """Train from choices on fresh samples: draw images, hear which are better, train, and again (D3PO).

    Choices come from scorers, a simulated person, people who fill in a file (the command says what it waits for, and
    goes on when it is given again), or people who vote in a browser (it waits for them; `tastemaker study serve RUN`
    shows them the images). A run that was stopped goes on when it is given again. Any field of the recipe can be set on
    the command line, as in --train.lr 1e-4.

    Args:
        recipe: YAML file, such as recipes/sd15/d3po.yaml.
        overrides: fields of the recipe to set, as in --train.lr 1e-4.
    """
    from tastemaker.base.summary import show
    from tastemaker.cli.scorers import build
    from tastemaker.train.d3po import d3po
    from tastemaker.train.recipe import D3po, read_recipe

    show(d3po(read_recipe(recipe, overrides, D3po), build))


def details() -> str:
    """The recipe's fields."""
    from tastemaker.base.config import field_help
    from tastemaker.train.recipe import D3po

    return f"\nfields of a recipe:\n{field_help(D3po)}"
