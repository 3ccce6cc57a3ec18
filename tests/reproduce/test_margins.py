from __future__ import annotations

from tastemaker.reproduce import margins

FOUND = {
    ("all", "dpo", "uniform"): 0.1,
    ("QSD", "dpo", "uniform"): 0.3,
    ("all", "dpo", "dde"): 0.2,
    ("QSD", "dpo", "dde"): 0.1,
    ("all", "ipo", "uniform"): 0.0,
    ("QSD", "ipo", "uniform"): 0.05,
    ("all", "sft", "uniform"): 9.0,
}
SETS = ("all", "QSD")


def test_what_has_not_run_with_every_set_is_left_out() -> None:
    assert list(margins.complete(FOUND, SETS)) == [("dpo", "uniform"), ("dpo", "dde"), ("ipo", "uniform")]


def test_means_by_hand() -> None:
    """All: (0.1 + 0.2 + 0) / 3 and (0.3 + 0.1 + 0.05) / 3. Both losses have uniform, both credits have dpo."""
    assert margins.rows(margins.complete(FOUND, SETS), SETS, "mean") == [
        ["mean", "all", "QSD", "combinations"],
        ["every combination", "+0.100", "+0.150", "3"],
        ["dpo", "+0.100", "+0.300", "1"],
        ["ipo", "+0.000", "+0.050", "1"],
        ["dde", "+0.200", "+0.100", "1"],
        ["uniform", "+0.100", "+0.300", "1"],
    ]


def test_no_row_where_nothing_is_common() -> None:
    found = {key: FOUND[key] for key in FOUND if key[1:] in (("dpo", "dde"), ("ipo", "uniform"))}
    assert [row[0] for row in margins.rows(margins.complete(found, SETS), SETS, "mean")[1:]] == ["every combination"]


def test_a_contrast_by_hand() -> None:
    """0.2, −0.1 and 0.05."""
    said = margins.contrast(margins.complete(FOUND, SETS), "QSD", "all")
    assert said == "QSD lies above all in 2 of 3 combinations, by +0.050 on average"
