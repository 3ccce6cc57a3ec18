"""Which prompts the kept pairs are of: concentration curves by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.report.spread import concentration, prompts

EVERY = np.array([0] * 4 + [1] * 4 + [2] * 4 + [3] * 4)
KEPT = np.array([2, 2, 2, 0])


def test_concentration_by_hand() -> None:
    """Counts 3, 1, 0, 0: the first prompt has ¾, the first two all."""
    assert concentration(KEPT, 4).tolist() == [0, 0.75, 1, 1, 1]
    assert concentration(EVERY, 4).tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_the_figure_says_what_the_top_collapses_to() -> None:
    """e^(−¾ ln ¾ − ¼ ln ¼) = 1.755; a tenth of four prompts is one at least."""
    figure = prompts(EVERY, KEPT)
    assert figure.caption == (
        "The 4 kept pairs are of 2 of 4 prompts. The tenth of the prompts with most of them has 75.0% of the kept "
        "ones, and 25.0% of all. The kept ones are as various as 1.8 evenly used prompts (all: 4.0), at most 3 of "
        "one prompt (all: 4)."
    )
    assert figure.data == {
        "rank": [0, 1, 2, 3, 4],
        "share": [0, 0.25, 0.5, 0.75, 1],
        "kept": [0, 0.75, 1, 1, 1],
        "all": [0, 0.25, 0.5, 0.75, 1],
    }
    assert "all images" in prompts(EVERY, KEPT, of="images").wide


def test_many_prompts_are_thinned_and_keep_their_ends() -> None:
    figure = prompts(np.arange(58_000), np.arange(58_000)[:5000])
    assert len(figure.data["rank"]) == 600
    assert (figure.data["kept"][0], figure.data["kept"][-1]) == (0, 1)
    assert "5,000 of 58,000 prompts" in figure.caption


def test_no_order_of_the_rows_matters() -> None:
    order = np.random.default_rng(0).permutation(len(EVERY))
    assert prompts(EVERY[order], KEPT[::-1]) == prompts(EVERY, KEPT)


def test_one_prompt_is_drawn() -> None:
    figure = prompts(np.zeros(3, int), np.zeros(1, int))
    assert figure.data["kept"] == pytest.approx([0, 1])
