"""QSD's figure 5: its stages, the page, and a study that waits for people."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

from support.reproduced import by_hand, write_arm
from support.studied import items, votes
from tastemaker.base.files import write_json
from tastemaker.evaluate.prompts import STYLES
from tastemaker.reproduce import paper_profile, published
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.study_exhibit import VOTES, exhibits
from tastemaker.reproduce.study_page import told
from tastemaker.reproduce.world_profile import profile
from tastemaker.study import design as designs
from tastemaker.study.design import Design

BEST = Arm("world", Pairs("best", "world", 0.3))


def exhibit(simulated=True):
    real = profile()
    if not simulated:
        real = replace(real, models={"world": replace(real.models["world"], base="owner/model")})
    return next(exhibits(real, lambda _: BEST))


ONE = {"preference": (5, 4, 3, 2), "appeal": (5, 5, 5, 5), "alignment": (0, 0, 0, 0)}
TWO = {"preference": (0, 0, 3, 2), "appeal": (5, 5, 5, 5), "alignment": (0, 0, 0, 0)}


def put(shop, seed, outcomes):
    place = shop.place(BEST, seed)
    designs.write(place / "study", Design(title="t", kind="pair", items=items()))
    write_json(place / VOTES, [asdict(vote) for vote in votes(seed, outcomes)])


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def test_the_page_by_hand(tmp_path):
    """Five studies, all alike. Preference: 3 of 4 prompts, 0.75 ± t₄ · √(0.25/4), cut at 1.

    Appeal and alignment: nothing varies, so Wilson's over 4 prompts: 4/(4 + z²) = 0.510, and 1 − 0.510; p = 2 · Φ(−2)
    = 0.0455, times 3 by Holm: too much for a sentence.
    """
    shop = by_hand(tmp_path)
    for seed in range(5):
        put(shop, seed, ONE)
    text = exhibit().write(Results(shop), tmp_path)
    heading, *_ = text.splitlines()
    assert heading == "### QSD, figure 5: blind study (world); simulated raters, no people"
    assert "4 pairs (the paper: 100), 300 votes of 25 simulated raters in 5 studies" in text
    found = rows(text)
    counts, rate, alone, decided, alpha, p, verdict, *paper = found["preference"]
    assert (counts, rate, decided) == ("15 / 0 / 5 / 0", "0.750 (0.056 to 1.000)", "0.750")
    assert (alone, p, verdict) == ("0.75, 0.75, 0.75, 0.75, 0.75", "0.37", "not distinguishable")
    assert re.fullmatch(r"(0\.\d{3}) \(\1 to \1\)", alpha)
    assert paper == ["0.62", "0.58"]
    assert found["appeal"][:2] == ["20 / 0 / 0 / 0", "1.000 (0.510 to 1.000)"]
    assert found["appeal"][4:7] == ["1.000 (1.000 to 1.000)", "0.14", "not distinguishable"]
    assert found["alignment"][:2] == ["0 / 0 / 20 / 0", "0.000 (0.000 to 0.490)"]
    assert found["alignment"][6] == "not distinguishable"
    assert found["one"][0] == "1.000 (0.342 to 1.000)"  # 2/(2 + z²)
    kept = json.loads((tmp_path / "study.json").read_text())
    assert kept["simulated raters"] is True
    assert kept["seeds"] == [0, 1, 2, 3, 4]
    assert kept["questions"]["preference"]["rate"]["value"] == 0.75
    assert len(kept["studies"]) == 5


def test_the_words_beside_a_rate():
    """Six of six prompts, five times: p = 2 · Φ(−√6) = 0.0143, times 3 by Holm: 0.043."""
    outcomes = {"preference": (3,) * 6, "appeal": (5,) * 6, "alignment": (0,) * 6}
    found = rows("\n".join(told([(items(6), votes(seed, outcomes)) for seed in range(5)], True).lines))
    assert [found[name][5:7] for name in ("preference", "appeal")] == [["0.043", "holds"]] * 2
    assert found["alignment"][5:7] == ["0.043", "does not hold: the other way round"]
    assert found["preference"][4] != found["appeal"][4] == "1.000 (1.000 to 1.000)"


def test_two_studies_say_nothing_yet(tmp_path):
    shop = by_hand(tmp_path)
    put(shop, 0, ONE)
    put(shop, 1, TWO)
    found = rows(exhibit().write(Results(shop), tmp_path))
    assert found["preference"][0] == "4 / 0 / 4 / 0"
    assert found["preference"][2] == "0.75, 0.25"
    assert all(found[question][6].startswith("too few seeds") for question in ONE)


def test_the_published_shares_are_the_papers():
    assert published.STUDY["sdxl"] == {"alignment": 0.70, "appeal": 0.64, "preference": 0.62}
    assert published.STUDY["sd15"] == {"alignment": 0.54, "appeal": 0.55, "preference": 0.58}


def test_nothing_is_written_of_nothing(tmp_path):
    assert exhibit().write(Results(by_hand(tmp_path)), tmp_path) == ""
    assert exhibit(simulated=False).write(Results(by_hand(tmp_path)), tmp_path) == ""


def test_a_simulated_study_a_seed_and_one_for_people(tmp_path):
    shop = by_hand(tmp_path)
    found = list(exhibit().stages(shop, (0, 1)))
    assert [stage.name for stage in found] == [f"study {BEST.name} seed 0", f"study {BEST.name} seed 1"]
    assert [need.name for need in found[0].needs] == [shop.scored(arm, 0).name for arm in (Arm("world"), BEST)]
    (only,) = exhibit(simulated=False).stages(shop, (0, 1))
    assert only.kind == "make a study"


def test_people_are_invited_and_then_counted(tmp_path):
    """The study stands: the page says how to open it. Five people have voted: the page shows what they say."""
    from tastemaker.reproduce.study_simulated import simulate

    shop, asked = by_hand(tmp_path), exhibit(simulated=False)
    write_arm(shop, BEST, 0, {"utility": [0.0] * 4})
    folder = shop.place(BEST, 0) / "study"
    design = Design(title="t", kind="pair", items=items(), questions=("preference", "appeal", "alignment"))
    designs.write(folder, design)
    text = asked.write(Results(shop), tmp_path)
    assert "Nobody has voted yet." in text
    assert f"tastemaker study serve {folder}" in text
    simulate(folder, {(question, item.id): (1.0, 0.0) for question in design.asked for item in design.items}, 0)
    text = asked.write(Results(shop), tmp_path)
    assert "60 votes of 5 people in 1 study" in text
    assert "of these two models alone" in text
    assert all(rows(text)[question][6].startswith("too few seeds") for question in design.asked)
    assert "imulated" not in text


def test_the_groups_at_paper_scale_are_the_styles_of_hpsv2(tmp_path):
    """A folder of HPSv2's four lists; a table whose field is no style has no groups, and a row may have none."""
    (tmp_path / "tune.txt").write_text("other")
    for style in STYLES:
        write_json(tmp_path / "hpsv2" / f"{style}.json", [f"{style} {number}" for number in range(2)])
    (tmp_path / "table.csv").write_text("prompt,category,style\na,1,photo\nb,2,\n")
    (tmp_path / "plain.csv").write_text("prompt,category\na,1\nb,2\n")
    groups = [
        paper_profile.profile((), paper_profile.DATA, tmp_path / "tune.txt", tmp_path / name).groups()
        for name in ("hpsv2", "table.csv", "plain.csv")
    ]
    assert groups[0] == {f"{style} {number}": style for style in STYLES for number in range(2)}
    assert groups[1:] == [{"a": "photo"}, {}]


def test_people_are_asked_about_the_groups_of_the_prompts(tmp_path, monkeypatch):
    """The stage draws equally many of each, by name; without groups of all."""
    made = []
    monkeypatch.setattr("tastemaker.reproduce.study_exhibit.make", lambda *given: made.append(given))
    shop = by_hand(tmp_path)
    for groups in ({"test": "photo"}, {}):
        there = replace(shop, profile=replace(shop.profile, groups=lambda groups=groups: groups))
        (stage,) = exhibit(simulated=False).stages(there, (3,))
        stage.do()
    place = shop.place(BEST, 3)
    folders = {"DPO": shop.place(Arm("world"), 3) / "images", "DPO-QSD": place / "images"}
    assert made == [(place / "study", folders, {"test": "photo"}), (place / "study", folders, {})]
