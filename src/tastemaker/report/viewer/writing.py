"""The verb ``view``: models side by side in a folder that a browser opens from the disk."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.evaluate import images as generated
from tastemaker.report import gallery
from tastemaker.report.viewer import data, pictures

if TYPE_CHECKING:
    from PIL.Image import Image

    from tastemaker.report.viewer.data import Model

TITLE = "Side by side"
PAGE, DATA, STYLE = "index.html", "data.js", "viewer.css"
SCRIPTS = ("select.js", "rows.js", "compare.js", "viewer.js")
"""In the order in which they need each other."""
SHEET = 12
"""Prompts on a contact sheet."""


def view(
    images: Sequence[Path],
    out: Path,
    *,
    evaluation: Path | None = None,
    names: Sequence[str] | None = None,
    jpeg: int | None = None,
    title: str = TITLE,
) -> dict[str, Any]:
    """Write a page that shows what the models whose IMAGES folders are ``images`` drew, prompt by prompt.

    ``out`` gets ``index.html`` with its scripts, ``data.js``, ``images/`` (each distinct image once, named by the hash
    of what was generated; as it is, or as JPEG of quality ``jpeg``) and a contact sheet for each model. ``evaluation``
    is an output of ``evaluate`` on the same folders in the same order: scores and marks; ``names`` label the models.
    A killed run goes on with the images it lacks; a finished one is recognised. Raises `UserError` unless all folders
    hold the same prompts, samples and seed, and for a bad ``evaluation``, ``names`` or ``jpeg``.
    """
    started = time.monotonic()
    if jpeg is not None and not 1 <= jpeg <= 100:
        raise UserError(f"--jpeg {jpeg}: must be from 1 to 100, such as 90")
    models = data.models(images, evaluation, names)
    prompts, samples = generated.check_alike(images)
    inputs = [files.sha256_file(path) for path in data.inputs(images, evaluation)]
    settings = {"names": [model.name for model in models], "jpeg": jpeg, "title": title}
    fingerprint = summary.fingerprint(images=inputs, **settings)
    with files.locked(out):
        if done := summary.finished(out, fingerprint):
            return done
        files.clear_temporaries(out)
        stored = [pictures.store(model, out, jpeg) for model in models]
        document = data.document(models, stored, samples, evaluation)
        files.write_text(out / DATA, data.script(document))
        _write_page(out, title, _lead(document), _note(document))
        sheets = _write_sheets(models, prompts, out)
        found = {name for model in stored for name in model.files}
        facts = {"models": settings["names"], "prompts": prompts, "samples": samples, "images": len(found)}
        page = {"contact_sheets": sheets, "page": out / PAGE}
        return summary.finish(out, "view", started, **facts, **page, fingerprint=fingerprint)


def _write_page(out: Path, title: str, lead: str, note: str) -> None:
    import jinja2

    folders = jinja2.ChoiceLoader(
        [jinja2.PackageLoader("tastemaker.report.viewer", "."), jinja2.PackageLoader("tastemaker.report")]
    )
    environment = jinja2.Environment(
        loader=folders, autoescape=True, keep_trailing_newline=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )

    def source(name: str) -> str:
        return folders.get_source(environment, name)[0]

    for script in SCRIPTS:
        files.write_text(out / script, source(script))
    files.write_text(out / STYLE, source("palette.css") + source(STYLE))
    template = environment.get_template("template.html.j2")
    files.write_text(out / PAGE, template.render(title=title, lead=lead, note=note, scripts=(DATA, *SCRIPTS)))


def _lead(document: Mapping[str, Any]) -> str:
    samples, models = document["samples"], len(document["models"])
    counts = [f"{len(document['prompts']):,} prompts", f"{models} model{'s' if models > 1 else ''}"]
    counts += [f"{samples} samples"] if samples > 1 else []
    return f"{' × '.join(counts)}, from the same initial noise. Choose an image to lay two over each other."


def _note(document: Mapping[str, Any]) -> str:
    if not document["scorers"]:
        return ""
    which = "mean over the samples of a prompt" if document["samples"] > 1 else "of a prompt"
    if document["kept"]:
        which = "of the one sample that the evaluation kept of each model"
    ties = ", ".join(f"{scorer['name']} {scorer['epsilon']:g}" for scorer in document["scorers"] if scorer["epsilon"])
    return f"Difference: score on the right − score on the left, {which}. " + (f"Ties up to {ties}." if ties else "")


def _write_sheets(models: Sequence[Model], prompts: int, out: Path) -> list[str]:
    """The same prompts by every model, and by each tuned one beside the base: the names of the files."""
    chosen = gallery.some(prompts, SHEET)
    drawn = [generated.first_samples(model.folder, chosen) for model in models]
    names = [model.name for model in models]
    sheets = {
        f"contact-{name}.png": [0, column] if column else [0]
        for column, name in enumerate(file_names(names))
        if column or len(models) == 1
    }
    if len(models) > 2:
        sheets["contact.png"] = list(range(len(models)))
    for file, columns in sheets.items():
        rows = [(drawn[0][index][0], [drawn[column][index][1] for column in columns]) for index in chosen]
        _write_sheet(out / file, [names[column] for column in columns], rows)
    return list(sheets)


def _write_sheet(path: Path, names: Sequence[str], rows: Sequence[tuple[str, list[Image]]]) -> None:
    from tastemaker.evaluate.contact_sheet import comparison_sheet

    with files.atomic_file(path) as temporary:
        comparison_sheet(names, rows).save(temporary, format="png")


def file_names(names: Sequence[str]) -> list[str]:
    """``names`` as they can stand in a file's name, each once: what is neither letter nor digit becomes a dash."""
    plain = [re.sub(r"[^\w.]+", "-", name).strip("-.")[:60] or "model" for name in names]
    doubled = {name for name in plain if plain.count(name) > 1}
    return [f"{name}-{number}" if name in doubled else name for number, name in enumerate(plain, 1)]
