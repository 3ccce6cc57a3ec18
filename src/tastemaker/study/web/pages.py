"""Templates → pages; everything in them is escaped."""

from __future__ import annotations

import functools
from typing import Any

import jinja2
from starlette.responses import HTMLResponse

NAME = "Tastemaker"
"""The title where there is no study's."""


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("tastemaker.study.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def page(template: str, code: int = 200, /, *, title: str, csrf: str = "", **values: Any) -> HTMLResponse:
    """The page of ``template`` (without `.html.j2`), answered with the status ``code``.

    ``csrf`` is what its forms and its script send back.
    """
    text = _environment().get_template(f"{template}.html.j2").render(title=title, csrf=csrf, **values)
    return HTMLResponse(text, code)


def message(
    line: str, status: int = 200, *, title: str = "Tastemaker", link: str = "", label: str = ""
) -> HTMLResponse:
    """A page that says ``line``, with a ``link`` called ``label`` where there is somewhere to go."""
    return page("message", status, title=title, line=line, link=link, label=label)
