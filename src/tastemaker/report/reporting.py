"""The verb ``report``: one HTML file from whatever folders there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tastemaker import __version__
from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.report import agreement, inputs, page, ranking, rounds, sections
from tastemaker.report.page import Section

TITLE = "What the model learned to like"


def report(
    out: Path,
    *,
    ranked: Path | None = None,
    eval: Path | None = None,
    images: Sequence[Path] = (),
    runs: Sequence[Path] = (),
    data: Path | None = None,
    title: str = TITLE,
    lead: str = "",
    extra: Sequence[Section] = (),
) -> dict[str, Any]:
    """Write the page to ``out`` (.html) and every figure's numbers to ``<name>-data/`` beside it.

    ``ranked`` is an output of ``rank``, ``data`` the imported images it speaks of (with
    several finished scorers also whether they agree), ``images`` outputs of ``generate``
    (the base first, in the order given to ``evaluate``), ``eval`` an output of ``evaluate``, ``runs`` outputs of
    ``train`` or ``d3po`` (with a section about its rounds); each adds its sections. ``extra`` sections stand before the
    settings. The same inputs give the same bytes. Raises `UserError` for a missing or damaged input, or when nothing is
    given.
    """
    started = time.monotonic()
    if out.suffix != ".html":
        raise UserError(f"{out}: must end in .html; the report is one HTML file")
    made = build(ranked=ranked, eval=eval, images=images, runs=runs, data=data, extra=extra)
    with files.locked(out.with_name(f"{out.stem}-data")):
        folder = page.write(out, title, made, lead or story(ranked, eval, runs))
        names = [section.title for section in made]
        return summary.finish(folder, "report", started, page=out, bytes=out.stat().st_size, sections=names)


def build(
    *,
    ranked: Path | None = None,
    eval: Path | None = None,
    images: Sequence[Path] = (),
    runs: Sequence[Path] = (),
    data: Path | None = None,
    extra: Sequence[Section] = (),
) -> list[Section]:
    """The sections of the page, in the order in which they stand."""
    made = []
    if eval:
        made.append(sections.result(files.read_json(eval / "metrics.json")))
    if images:
        drawn, prompts = inputs.read_drawn(images, eval)
        made.append(sections.before_after(drawn, prompts))
    if ranked:
        made.append(ranking.section(ranked, data))
    if data and (agree := agreement.section(data, ranking.scorers(ranked) if ranked else ())):
        made.append(agree)
    if runs:
        _check_names(runs)
        made.append(sections.training({run.resolve().name: inputs.read_metrics(run) for run in runs}))
        made += [rounds.learning(run) for run in runs if inputs.is_online(run)]
    if not (made or extra):
        raise UserError("nothing to report: give at least one of --ranked, --eval, --images, --runs")
    return [*made, *extra, _settings(ranked, eval, images, runs)]


def _check_names(runs: Sequence[Path]) -> None:
    names = [run.resolve().name for run in runs]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"--runs: two runs are called {doubled}; rename a folder")


def story(ranked: Path | None, eval: Path | None, runs: Sequence[Path]) -> str:
    """What was done, in a sentence or two."""
    said = []
    if ranked and (facts := inputs.read_facts(ranked / "summary.json")):
        said.append(f"{facts['pairs']:,} comparisons were scored by {facts['scorer']}, {facts['kept']:,} of them kept.")
    online = sum(map(inputs.is_online, runs))
    if offline := len(runs) - online:
        said.append(f"{offline} model{'s were' if offline > 1 else ' was'} trained on comparisons.")
    if online:
        whose = "s learned from comparisons of their" if online > 1 else " learned from comparisons of its"
        said.append(f"{online} model{whose} own fresh images.")
    if eval:
        metrics = files.read_json(eval / "metrics.json")
        base, *others = metrics["models"]
        said.append(f"{' and '.join(others) or base}: {metrics['prompts']:,} prompts, same initial noise as {base}.")
    return " ".join(said)


def _settings(ranked: Path | None, eval: Path | None, images: Sequence[Path], runs: Sequence[Path]) -> Section:
    documents = {f"Images: {folder.resolve().name}": inputs.read_facts(folder / "settings.json") for folder in images}
    if ranked:
        documents["Ranking"] = inputs.read_facts(ranked / "summary.json")
    documents |= {f"Training: {run.resolve().name}": inputs.read_facts(run / "summary.json") for run in runs}
    if eval:
        metrics = inputs.read_facts(eval / "metrics.json")
        documents["Evaluation"] = {name: value for name, value in metrics.items() if name != "results"}
    recipes = {run.resolve().name: run / "recipe.yaml" for run in runs}
    texts = {name: path.read_text(encoding="utf-8") for name, path in recipes.items() if path.is_file()}
    note = f"Made by tastemaker {__version__}. Everything below is as the verbs recorded it."
    return sections.settings({title: facts for title, facts in documents.items() if facts}, texts, note)
