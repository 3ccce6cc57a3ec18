"""Models side by side on a few prompts: QSD's figure 2, and that of DDE (arXiv 2411.14871)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import draw
from tastemaker.reproduce.exhibit import OfArms
from tastemaker.reproduce.output import save
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop

if TYPE_CHECKING:
    from PIL.Image import Image

PROMPTS = 5
"""As in QSD's figure."""


@dataclass(frozen=True)
class SideBySide(OfArms):
    """A row a prompt, a column a model, all from the same noise (`exhibit.Exhibit`)."""

    def write(self, results: Results, folder: Path) -> str:
        """`<key>.png` of the lowest seed that all arms have; nothing before there is one."""
        seeds = results.seeds_of(*self.arms)
        if not (results.has_base(self.model) and seeds):
            return ""
        save(self._sheet(results.shop, seeds[0]), folder / f"{self.key}.png")
        said = (
            "Prompts drawn by chance of those that are reported, nobody chose among them; the same noise in each row, "
            f"training seed {seeds[0]}."
        )
        picture = f"![{', '.join(('base', *self.labels))}]({self.key}.png)"
        return "\n".join([f"### {self.title}", "", picture, "", said, ""])

    def _sheet(self, shop: Shop, seed: int) -> Image:
        from tastemaker.evaluate.contact_sheet import comparison_sheet
        from tastemaker.evaluate.images import first_samples

        stages = [shop.base(self.model), *(shop.scored(arm, seed) for arm in self.arms)]
        prompts = drawn(len(shop.profile.test()))
        columns = [first_samples(stage.out.parent / "images", prompts) for stage in stages]
        rows = [(columns[0][prompt][0], [column[prompt][1] for column in columns]) for prompt in prompts]
        return comparison_sheet(["base", *self.labels], rows)


def drawn(count: int) -> list[int]:
    """`PROMPTS` of ``count`` prompts, or all where there are fewer, in their order."""
    return sorted(draw.numbers(0, "side by side").permutation(count)[:PROMPTS].tolist())
