"""`tastemaker credit`."""

from __future__ import annotations

from pathlib import Path


def run(
    recipes: tuple[Path, ...] = (),
    /,
    *,
    out: Path,
    runs: tuple[Path, ...] = (),
    model: str | None = None,
) -> None:
    """Draw what methods give to each denoising step: weight, share of the credit, and what runs recorded.

    One HTML file for several methods, with every figure's numbers beside it. No weights are read.

    Args:
        recipes: YAML files, such as recipes/sd15/dde.yaml.
        out: The HTML file to write.
        runs: Outputs of tastemaker train: effective credit by the sign of the margin, the stepwise correction.
        model: A diffusers folder whose noise schedule to use in place of the recipes' models.
    """
    from tastemaker.base import summary
    from tastemaker.report.credit_page import credit

    summary.show(credit(out, recipes, runs, model))
