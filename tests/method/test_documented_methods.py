"""docs/methods.md: every method of the papers has its row, and the row is true."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tastemaker.train.recipe import Recipe, read_any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "methods.parquet"
TEXT = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8").partition("## The methods of the papers")[2]
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in TEXT.splitlines() if row.startswith("| ")][2:]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def made_of(path: Path) -> str:
    """Credit × link in the words of the table."""
    method = read_any(path).method
    correction = [] if method.credit.correction is None else [method.credit.correction.kind]
    return f"{', '.join([method.credit.when.kind, method.credit.weight.kind, *correction])} × {method.link.kind}"


def test_every_recipe_stands_in_one_row() -> None:
    listed = [name for row in ROWS for name in named(row[5])]
    there = [path.relative_to(ROOT / "recipes").as_posix() for path in (ROOT / "recipes").rglob("*.yaml")]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_what_its_recipes_are_made_of_and_names_tests(row: list[str]) -> None:
    for name in named(row[5]):
        path = ROOT / "recipes" / name
        if not name.startswith(("sd3", "flux")):  # they weigh with epsilon, as the page says below the table
            assert row[3].removesuffix(", best pairs first") == made_of(path)
        recipe = read_any(path)
        assert row[3].endswith("best pairs first") == (isinstance(recipe, Recipe) and recipe.data.order == "sorted")
    assert all((ROOT / "src" / "tastemaker" / name).is_file() for name in named(row[4]))
    assert all((ROOT / "tests" / name).is_file() for name in named(row[6]))


def test_the_results_are_those_of_the_committed_utilities() -> None:
    """Mean utility of all pictures of an entrant minus the base's, to the printed digit."""
    table = pq.read_table(RESULTS)
    entrants, utility = table["entrant"].to_pylist(), table["utility"].to_pylist()
    means: dict[str, float] = {}
    for name in set(entrants):
        values = [value for entrant, value in zip(entrants, utility, strict=True) if entrant == name]
        means[name] = sum(values) / len(values)
    shown = {found[1]: found[2] for row in ROWS if (found := re.fullmatch(r"`([\w.-]+)`: ([+−]\d\.\d{3}) .*", row[7]))}
    assert set(shown) == set(means) - {"base", "random-30", "qsd-dde"}
    wrong = {
        name: (text, means[name] - means["base"])
        for name, text in shown.items()
        if text.replace("−", "-") != f"{means[name] - means['base']:+.3f}"
    }
    assert wrong == {}
