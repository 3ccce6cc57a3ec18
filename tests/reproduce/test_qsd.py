"""QSD's tables hold exactly the figures of our source, and the arms that the paper compares."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tastemaker.reproduce import published, qsd, world_profile
from tastemaker.reproduce.arm import Arm, Pairs

SOURCE = Path(__file__).resolve().parents[3] / "shared" / "design" / "papers.md"
NUMBER = re.compile(r"\d+\.\d+|\d+")


@pytest.fixture(scope="module")
def lines() -> dict[int, list[list[str]]]:
    """Table number → its rows as cells."""
    if not SOURCE.is_file():
        pytest.skip("no ../shared/data beside the repository (real images and golden values)")
    found: dict[int, list[list[str]]] = {}
    number = 0
    for line in SOURCE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if match := re.match(r"Table (\d)", cells[0] if cells else ""):
            number = int(match[1])
        elif not cells:
            number = 0
        elif number and "---" not in line:
            found.setdefault(number, []).append(cells)
    return found


def figures(cells: list[str]) -> tuple[float, ...]:
    return tuple(float(cell) for cell in cells)


def shown(shares: dict[str, float]) -> dict[str, str]:
    return {name: f"{100 * share:g} %" for name, share in shares.items()}


def test_table1(lines):
    models = {"SD1.5": "sd15", "SDXL": "sdxl"}
    read = {(models[row[0].split()[0]], row[0].split()[1]): figures(row[1:5]) for row in lines[1]}
    assert read == published.TABLE1
    assert {row[0].split()[1]: row[5] for row in lines[1]} == shown(published.SHARES)
    assert published.SHARES["DPO-QSD"] == qsd.TOP


def test_table2(lines):
    named = [(row[0].split(" (")[0].removesuffix(" baseline"), row) for row in lines[2]]
    assert {name: figures(row[1:5]) for name, row in named} == published.TABLE2
    assert {name: row[5] for name, row in named} == shown(published.TABLE2_SHARES)
    shares = {name.removesuffix("-QSD"): row[5] for name, row in named if name.endswith("-QSD")}
    assert shares == {name: f"{100 * share:g} %" for name, (_, share) in qsd.LOSSES.items()}


def test_table3(lines):
    names = {"baseline DPO": "DPO", "LAION aesthetics": "Aesthetic"}
    read = {names.get(row[0], row[0]): row for row in lines[3]}
    assert {name: figures(row[1:5]) for name, row in read.items()} == published.TABLE3
    assert shown(published.TABLE3_SHARES) == {name: row[5] for name, row in read.items()}
    assert list(published.TABLE3_SHARES) == list(read), "in the paper's order"


def test_table4(lines):
    read = {}
    for row in lines[4]:
        for side, name in enumerate(("DPO", "DPO-QSD")):
            read[int(row[1]), name] = tuple(float(cell.split(" / ")[side]) for cell in row[2:6])
    assert read == published.TABLE4
    assert {row[6] for row in lines[4]} == {" / ".join(shown(published.SHARES).values()).replace(" %", "", 1)}


def test_the_human_study(lines):
    """Figure 5 as it stands in the text."""
    text = SOURCE.read_text(encoding="utf-8")
    of = {"sdxl": text[text.index("— SDXL:") : text.index("; SD1.5:")], "sd15": text[text.index("; SD1.5:") :][:40]}
    for model, shares in published.STUDY.items():
        said = [int(number) for number in re.findall(r"(\d+) %", of[model])][:3]
        assert said == [round(100 * shares[name]) for name in ("alignment", "appeal", "preference")]


def test_the_world_has_the_papers_rows_beside_its_own():
    tables = {table.key: table for table in qsd.tables(world_profile.profile())}
    assert list(tables) == ["table1", "table2", "table3", "table4"]
    first = {row.label: row.published for row in tables["table1"].rows}
    assert first["DPO"] == published.TABLE1["sd15", "DPO"]
    assert first["DPO-QSD"] == published.TABLE1["sd15", "DPO-QSD"]
    assert first["base"] == first["as many at random (control)"] == ()
    assert {row.label: row.published for row in tables["table1"].printed} == {
        "SDXL DPO (published)": published.TABLE1["sdxl", "DPO"],
        "SDXL DPO-QSD (published)": published.TABLE1["sdxl", "DPO-QSD"],
    }
    for table in tables.values():
        assert {len(row.published) for row in (*table.rows, *table.printed)} <= {0, len(table.metrics)}
        assert {
            row.label for row in (*table.rows, *table.printed) if bool(row.published) != (row.share is not None)
        } == set()
        assert table.source == "SD1.5"


def test_shares_beside_our_rows():
    tables = {table.key: table for table in qsd.tables(world_profile.profile())}
    of = {key: [row.share for row in table.rows] for key, table in tables.items()}
    assert of == {
        "table1": [None, 1.0, 0.0533, None],
        "table2": [None, 1.0, 0.0533, 1.0, 0.106],
        "table3": [None, 1.0, None, None, None, None],
        "table4": [None, *(1.0, 0.0533) * 3],
    }
    assert [row.share for row in tables["table3"].printed] == [1.0, 0.16, 0.0533, 0.0533]


def test_two_models_have_a_table_each_with_their_own_figures():
    """The models called as in the paper."""
    profile = world_profile.profile()
    model = profile.models["world"]
    both = replace(profile, models={"sd15": model, "sdxl": model})
    tables = {table.key: table for table in qsd.tables(both)}
    assert list(tables) == ["table1-sd15", "table1-sdxl", "table2", "table3", "table4"]
    for name in ("sd15", "sdxl"):
        rows = {row.label: row for row in tables[f"table1-{name}"].rows}
        assert rows["DPO-QSD"].published == published.TABLE1[name, "DPO-QSD"]
        assert tables[f"table1-{name}"].printed == ()
        assert tables[f"table1-{name}"].source == {"sd15": "SD1.5", "sdxl": "SDXL"}[name]
        assert rows["DPO"].arm.model == name


def test_table1_has_its_control():
    table = next(qsd.tables(world_profile.profile()))
    drawn, chosen, everything = (Pairs("random", share=0.3), Pairs("best", "world", 0.3), Pairs())
    assert [row.arm for row in table.rows] == [None, *(Arm("world", p) for p in (everything, chosen, drawn))]
    assert [(claim.better.pairs, claim.worse and claim.worse.pairs) for claim in table.claims] == [
        (chosen, everything),
        (chosen, drawn),
        (everything, None),
    ]
    assert [claim.whose for claim in table.claims] == ["paper", "ours", "ours"]
    assert [claim.metrics for claim in table.claims] == [published.QSD_METRICS, (), ()]


def test_table3_in_the_world_takes_its_own_scorers_at_one_share():
    table = next(table for table in qsd.tables(world_profile.profile()) if table.key == "table3")
    ranked = [row.arm.pairs for row in table.rows[2:]]
    assert [(pairs.scorer, pairs.share) for pairs in ranked] == [
        (name, 0.3) for name in ("world", "noise2", "noise8", "noise16")
    ]
    assert all(row.published == () for row in table.rows[2:])
    assert {claim.whose for claim in table.claims} == {"ours"}
    names = ("ImageReward", "Aesthetic", "PickScore", "HPSv2")
    assert [(row.label, row.published) for row in table.printed] == [
        (f"ranked by {name} (published)", published.TABLE3[name]) for name in names
    ]


def test_table3_with_the_papers_scorers_is_in_its_order():
    """Rankers in another order, as the profile has them; nothing is left to print below."""
    names = ("HPSv2", "ImageReward", "PickScore", "Aesthetic")
    told = replace(world_profile.profile(), rankers={name: f"{name}-spec" for name in names})
    table = next(table for table in qsd.tables(told) if table.key == "table3")
    found = [(row.arm.pairs.scorer, row.arm.pairs.share, row.published, row.share) for row in table.rows[2:]]
    assert found == [
        ("ImageReward", 1.0, published.TABLE3["ImageReward"], 1.0),
        ("Aesthetic", 0.5, published.TABLE3["Aesthetic"], 0.16),
        ("PickScore", 0.3, published.TABLE3["PickScore"], 0.0533),
        ("HPSv2", 0.3, published.TABLE3["HPSv2"], 0.0533),
    ]
    assert table.printed == ()
    assert {(claim.whose, claim.metrics) for claim in table.claims} == {("paper", published.QSD_METRICS)}


def test_table4_shares_the_models_own_rank_with_table1():
    table = next(table for table in qsd.tables(world_profile.profile()) if table.key == "table4")
    assert [row.arm.rank for row in table.rows[1:]] == [8, 8, None, None, 64, 64]
    assert table.rows[3].published == published.TABLE4[64, "DPO"]
    assert [row.label for row in table.rows[1::2]] == [
        "DPO, rank 8 (the paper's 32)",
        "DPO, rank 16 (the paper's 64)",
        "DPO, rank 64 (the paper's 256)",
    ]


def test_table4_at_the_papers_ranks():
    same = replace(world_profile.profile(), ranks={32: 32, 64: 64, 256: 256})
    table = next(table for table in qsd.tables(same) if table.key == "table4")
    assert [row.label for row in table.rows[1:3]] == ["DPO, rank 32", "DPO-QSD, rank 32"]


def test_curves_read_every_pair_once():
    (curve,) = qsd.curves(world_profile.profile())
    assert [arm.pairs for arm in curve.arms] == [Pairs("best", "world", 1.0, 1), Pairs("all", passes=1)]


def test_keys_are_unique_and_the_papers():
    found = qsd.exhibits(world_profile.profile())
    assert len({exhibit.key for exhibit in found}) == len(found)
    assert {exhibit.paper for exhibit in found} == {"qsd"}
    assert {"table1", "table2", "table3", "table4", "samples-world", "quality", "pairs"} <= {e.key for e in found}
