"""`tastemaker view`."""

from __future__ import annotations

from pathlib import Path


def run(
    images: tuple[Path, ...],
    /,
    *,
    out: Path,
    eval: Path | None = None,
    names: tuple[str, ...] = (),
    jpeg: int | None = None,
    title: str = "Side by side",
) -> None:
    """Lay models' images of the same prompts side by side, in a folder whose page opens offline.

    Open index.html: filter by words, groups and results, lay two images over each other, mark favourites.

    Args:
        images: Output folders of `tastemaker generate`; the first is the base that the others are compared with.
        out: Folder for index.html, the images and contact sheets; it can be moved and zipped.
        eval: Output of `tastemaker evaluate` on the same folders in the same order: scores under the images.
        names: One name for each folder; those of the evaluation, or the folders' own, if not given.
        jpeg: Quality from 1 to 100 at which images are stored as JPEG, such as 90; unchanged if not given.
        title: Heading of the page.
    """
    from tastemaker.base import summary
    from tastemaker.report.viewer.writing import view

    summary.show(view(images, out, evaluation=eval, names=names or None, jpeg=jpeg, title=title))
