"""The other worths, and the choices that do not go together."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.rank.choose import Cut
from tastemaker.rank.construct import Construct
from tastemaker.rank.drop import Drop
from tastemaker.rank.ensemble import Ensemble
from tastemaker.rank.prompts import Spread
from tastemaker.rank.relabel import Relabel
from tastemaker.rank.settings import Ranking
from tastemaker.rank.worth import Worth, agreement, by_psi


def test_margin_by_hand() -> None:
    """Of equal margins Q prefers the good winner and the margin nobody: (0.9, 0.5) and (0.4, 0.0)."""
    psi = np.array([[0.9, 0.4, 0.2], [0.5, 0.0, 0.7]])
    assert by_psi(psi, "margin") == pytest.approx([0.4, 0.4, -0.5])
    assert by_psi(psi, "quality") == pytest.approx([0.45, 0.4, 0.06])


def test_agreement_by_hand() -> None:
    """Three scorers, four pairs: 3, 2, 1½ and 0 of 3 prefer the winner; the mean margin is added over 24."""
    raw = np.array([[[5, 5, 5, 0], [1, 1, 5, 1]], [[2, 2, 2, 0], [1, 1, 1, 1]], [[9, 0, 0, 0], [0, 1, 1, 1.0]]])
    psi = raw / 10
    margins = (raw[:, 0] - raw[:, 1]).mean(0) / 10
    assert agreement(psi, raw) == pytest.approx(np.array([1, 2 / 3, 0.5, 0]) + margins / 24)


def test_a_larger_share_comes_before_any_margin() -> None:
    """The largest margin with two of three against the smallest with three of three, beyond the clip."""
    raw = np.array([[[9.0, 2.0], [0.0, 1.9]]] * 2 + [[[0.0, 2.0], [0.1, 1.9]]])
    psi = np.clip(raw, 0, 1)
    assert agreement(psi, raw)[1] > agreement(psi, raw)[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"worth": Worth("agreement"), "ensemble": Ensemble("min")},
            "--by agreement: deals with several scorers by its",
        ),
        ({"worth": Worth("kto"), "ensemble": Ensemble(weights={"a": 2})}, "--by kto: deals with several"),
        ({"worth": Worth("kto"), "relabel": Relabel("swap")}, "--by kto: goes by what people said alone"),
        ({"worth": Worth("kto"), "construct": Construct(1)}, "leave --relabel and --construct out"),
        ({"worth": Worth(temperature=2.0)}, "--temperature: is that of --by bradley-terry and --max-wrong-rate"),
        ({"spread": Spread(diverse=True), "cut": Cut(order="random")}, "--diverse and --order random"),
        ({"spread": Spread(diverse=True), "cut": Cut(threshold="knee")}, "--diverse and --threshold"),
    ],
)
def test_choices_that_exclude_each_other(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Ranking(**wrong)


@pytest.mark.parametrize(
    ("how", "scorers", "singles", "message"),
    [
        (Ranking(worth=Worth("agreement")), 1, False, "--by agreement, --combine and --weight: are of several scorers"),
        (Ranking(ensemble=Ensemble("pareto")), 1, False, "name more after --scorer"),
        (Ranking(worth=Worth("bradley-terry", 2.0)), 2, False, "--temperature: is of one scorer"),
        (Ranking(relabel=Relabel("swap")), 1, True, "judged alone: have no margin"),
        (Ranking(cut=Cut(max_wrong_rate=0.1)), 1, True, "judged alone"),
        (Ranking(worth=Worth("kto")), 1, True, "judged alone"),
    ],
)
def test_choices_that_the_data_cannot_fill(how: Ranking, scorers: int, singles: bool, message: str) -> None:
    with pytest.raises(UserError, match=message):
        how.check(scorers, singles)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Worth("goodness"), "--by goodness: say quality, margin"),  # type: ignore[arg-type]
        (lambda: Worth("bradley-terry", 0.0), "--temperature 0.0: must be above 0"),
        (lambda: Drop(min_strength=1.5), "--min-strength 1.5"),
        (lambda: Drop(near_duplicates=99), "--drop-near-duplicates 99"),
    ],
)
def test_refused(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_only_what_was_asked_for_is_recorded() -> None:
    assert Ranking(cut=Cut(fraction=0.3)).as_json() == {}
    asked = Ranking(worth=Worth("margin"), spread=Spread(per_prompt=2)).as_json()
    assert asked == {"worth": {"by": "margin", "temperature": None}, "spread": {"per_prompt": 2, "diverse": False}}
