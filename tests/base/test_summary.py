"""Summaries: what is written, what counts as finished, what the screen shows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from tastemaker import __version__
from tastemaker.base.errors import UserError
from tastemaker.base.summary import fingerprint, finish, finished, show


class Settings(BaseModel):
    rate: float = 1e-4
    names: tuple[str, ...] = ("a",)


def test_finish_writes_what_it_returns(tmp_path: Path) -> None:
    summary = finish(
        tmp_path, "rank", time.monotonic() - 2, pairs=3, cache=tmp_path / "c", rates=(0.5, 1), by={"cut": 2}
    )
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["verb"] == "rank"
    assert summary["tastemaker"] == __version__
    assert 2 <= summary["seconds"] < 60
    assert (summary["pairs"], summary["rates"], summary["by"]) == (3, [0.5, 1], {"cut": 2})
    assert summary["cache"] == str(tmp_path / "c")
    assert list(summary)[:4] == ["verb", "tastemaker", "seconds", "pairs"]


def test_a_wrong_clock_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="monotonic"):
        finish(tmp_path, "rank", time.time() + 1e6)


def test_a_figure_that_json_has_no_word_for_is_refused_and_leaves_no_summary(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        finish(tmp_path, "rank", time.monotonic(), rate=float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_finished_knows_its_own_work(tmp_path: Path) -> None:
    ours = fingerprint(data="d", fraction=0.3)
    assert finished(tmp_path, ours) is None
    assert finished(tmp_path / "nowhere", ours) is None
    summary = finish(tmp_path, "rank", time.monotonic(), pairs=3, fingerprint=ours)
    assert finished(tmp_path, ours) == summary


def test_other_settings_are_refused_with_the_way_out(tmp_path: Path) -> None:
    finish(tmp_path, "rank", time.monotonic(), fingerprint=fingerprint(fraction=0.3))
    with pytest.raises(UserError, match=r"choose another --out or remove it") as caught:
        finished(tmp_path, fingerprint(fraction=0.4))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("text", ["{}", "[]", '{"verb": "rank"}'])
def test_a_summary_without_a_fingerprint_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(UserError, match="other inputs or settings"):
        finished(tmp_path, fingerprint())


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"verb": ')
    with pytest.raises(UserError, match=r"summary\.json: not readable"):
        finished(tmp_path, fingerprint())


def test_fingerprint_by_hand() -> None:
    """sha256 of the canonical JSON text {"a":1,"b":["x"]}."""
    import hashlib

    assert fingerprint(b=("x",), a=1) == hashlib.sha256(b'{"a":1,"b":["x"]}').hexdigest()


def test_fingerprint_depends_on_values_and_not_on_order_or_container() -> None:
    same = {fingerprint(a=1, b=[Path("x")]), fingerprint(b=["x"], a=1), fingerprint(b=("x",), a=1)}
    assert len(same) == 1
    assert fingerprint(s=Settings()) == fingerprint(s={"rate": 1e-4, "names": ["a"]})
    different = [{"a": 1}, {"a": "1"}, {"a": 1.5}, {"a": None}, {"a": [1]}, {"b": 1}, {}]
    assert len({fingerprint(**inputs) for inputs in different}) == len(different)


def test_show_is_aligned_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        {
            "verb": "rank",
            "pairs": 1_000_000,
            "rate": 0.123456,
            "big": 123456.7,
            "done": True,
            "cut": None,
            "names": ["a", "b"],
            "reasons": {"tie": 2, "unscored": 1},
            "none": {},
            "fingerprint": "f" * 64,
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "verb        rank",
        "pairs       1000000",
        "rate        0.1235",
        "big         123457",
        "done        yes",
        "cut         -",
        "names       a, b",
        "reasons",
        "  tie       2",
        "  unscored  1",
        "none        -",
    ]


def test_show_keeps_one_line_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    show({"prompts": [f"p{i}" for i in range(20)], "text": "two\nlines\x1b"})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "prompts  p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, … (20 in all)",
        "text     two lines\x1b",
    ]


def test_show_gives_the_items_of_a_wide_list_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    show({"files": ["a" * 50, "b" * 50], "few": ["a", "b"]})
    assert capsys.readouterr().out.splitlines() == [f"files  {'a' * 50}", f"       {'b' * 50}", "few    a, b"]
