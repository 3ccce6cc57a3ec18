"""Documents are checked like code: verbs, commands, recipes, links, versions."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from support.documents import commands
from tastemaker import __version__
from tastemaker.cli import app
from tastemaker.world.assets import D3PO, RECIPE

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
UNPACKED = {ROOT / "out/world/recipe.yaml": RECIPE, ROOT / "out/world/d3po.yaml": D3PO}
"""Files that an earlier command of a page makes."""
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def documented(program: str) -> list[tuple[str, list[str]]]:
    found = [(page_id(page), words) for page in PAGES for words in commands(page.read_text(encoding="utf-8"))]
    return [(page, words[1:]) for page, words in found if Path(words[0]).name == program]


def slugs(text: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """Targets of links and images in Markdown and HTML, outside code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    return re.findall(r"\]\(([^)\s]+)[^)]*\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere; the internet is not asked."""
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in slugs(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("verb", app.VERBS)
def test_every_verb_is_in_the_readme_or_the_docs(verb: str) -> None:
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    assert any(re.search(rf"tastemaker {verb}\b", page.read_text(encoding="utf-8")) for page in pages)


@pytest.mark.parametrize(("page", "words"), documented("tastemaker"), ids=lambda value: str(value))
def test_every_documented_command_is_understood(page: str, words: list[str]) -> None:
    """Parsed by the real parser and not run; recipes and their overrides are validated."""
    if words in (["--help"], ["--version"]):
        return
    try:
        call = app.parse(words)
    except SystemExit as stop:
        if stop.code != 0:
            pytest.fail(f"{page}: tastemaker {shlex.join(words)}")
        return
    named = getattr(call, "keywords", {})
    if app.OVERRIDES in named:
        from tastemaker.train.recipe import D3po, Recipe, read_any

        path = ROOT / call.args[0]  # type: ignore[attr-defined]
        recipe = read_any(UNPACKED.get(path, path), named[app.OVERRIDES])
        assert isinstance(recipe, {"train": Recipe, "d3po": D3po}.get(words[0], object))


def test_the_readme_has_the_two_commands_and_the_real_data_path() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makes = [words for page, words in documented("make") if page == "README.md"]
    assert ["demo"] in makes
    assert ["test"] in makes
    verbs = [words[0] for page, words in documented("tastemaker") if page == "README.md"]
    path = ["import", "score", "rank", "encode", "train", "generate", "evaluate", "report"]
    assert [verb for verb in dict.fromkeys(verbs) if verb in path] == path
    assert re.search(r"!\[[^\]]+\]\(|<img ", readme), "the before/after picture is missing"


def test_every_documented_make_target_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "test-all", "clean"} <= targets
    named = [(page, word) for page, words in documented("make") for word in words if "=" not in word]
    assert [(page, word) for page, word in named if word not in targets] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_has_a_row_in_the_docs(recipe: Path) -> None:
    from tastemaker.train.recipe import read_any

    read_any(recipe)
    rows = [line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert any(recipe.name in row for row in rows)


def test_there_are_recipes() -> None:
    assert {"diffusion-dpo", "qsd-dpo", "sft"} <= {recipe.stem for recipe in RECIPES}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_resolve(page: Path) -> None:
    assert broken(page) == []


def test_the_changelog_has_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[(?:Unreleased|{re.escape(__version__)})\]", text, re.MULTILINE)
    assert __version__ in text


def test_versions_agree_and_every_requirement_is_pinned_but_torchvision() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~ \[]", text)[0]).lower() for text in wanted}
    assert names - pinned == set()
    assert "torchvision" not in pinned | names
    assert pins["torch"] == "2.13.0"


def test_the_checks_see_planted_faults(tmp_path: Path) -> None:
    page = tmp_path / "x.md"
    page.write_text(
        "# A b, `c`\n[ok](#a-b-c) [no](#a) [no](y.md) [web](https://x.y) `[code](z.md)` ![no](p.png)\n"
        "```bash\n$ A=1 tastemaker rank d \\\n  --out x | head  # why\nmake demo && tastemaker train 'r s'\n```\n"
        "```python\nx = 1\n```\n"
    )
    assert broken(page) == ["#a", "y.md", "p.png"]
    assert list(commands(page.read_text())) == [
        ["tastemaker", "rank", "d", "--out", "x"],
        ["head"],
        ["make", "demo"],
        ["tastemaker", "train", "r s"],
    ]
