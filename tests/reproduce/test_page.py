"""The head of the page, and that one damaged part does not take the others with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from support.reproduced import by_hand
from tastemaker.base.errors import UserError
from tastemaker.reproduce import page, world_profile
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import Results


@dataclass(frozen=True)
class Part:
    title: str
    damaged: bool = False

    def write(self, results: Results, folder: Path) -> str:  # noqa: ARG002
        if self.damaged:
            raise UserError("scores.json: is no JSON; delete it")
        return f"### {self.title}\n"


def test_a_damaged_part_says_so_and_the_others_stand(tmp_path: Path) -> None:
    results = Results(by_hand(tmp_path))
    page.write(results, [Part("one"), Part("two", True), Part("three")], tmp_path)
    text = (tmp_path / page.NAME).read_text()
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == ["# The papers' tables and figures, profile world", "### one", "### two", "### three"]
    assert "### two\n\nNot written: scores.json: is no JSON; delete it\n" in text


def test_the_head_says_what_the_figures_are_of() -> None:
    profile = world_profile.profile()
    judges = (*profile.judges[:1], Judge("hpsv2", "HPSv2", scale=100.0, about="people"))
    text = "\n".join(page.head(replace(profile, judges=judges)))
    assert (
        "| utility | `world-utility` | how well the picture shows its caption, from 0 to 1: the truth | 0.02 |" in text
    )
    assert "| HPSv2 (× 100) | `hpsv2` | people | 0 |" in text
    assert "200 prompts are reported" in text
    assert "Of each run's 4 checkpoints the best by utility on 80 other prompts" in text
    assert "were tuned by the same judge" in text
    assert "were tuned" not in "\n".join(page.head(replace(profile, faster=None)))
