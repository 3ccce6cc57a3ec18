"""QSD's figure 5: majorities turned to QSD's side, studies put together, the page, and a study that waits."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from support.reproduced import by_hand, write_arm
from tastemaker.base.files import write_json
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce import published
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.study_exhibit import DPO, QSD, VOTES, above_half, exhibits, pooled, prefers_qsd
from tastemaker.reproduce.world_profile import profile
from tastemaker.study import design as designs
from tastemaker.study.design import Design
from tastemaker.study.majority import Rate, WinRate
from tastemaker.study.vote import Image, Item, Vote

BEST = Arm("world", Pairs("best", "world", 0.3))


def exhibit(simulated=True):
    real = profile()
    if not simulated:
        real = replace(real, models={"world": replace(real.models["world"], base="owner/model")})
    return next(exhibits(real, lambda _: BEST))


def items(count=4):
    """QSD's image stands second in every other item."""
    return tuple(
        Item(
            id=number,
            kind="pair",
            prompt=f"prompt {number}",
            images=tuple(Image(f"{number}-{model}", model) for model in ((DPO, QSD) if number % 2 else (QSD, DPO))),
            category=("one", "two")[number // 2],
        )
        for number in range(count)
    )


def votes(seed, outcomes):
    """Of each item and question so many of five raters for QSD; the others say DPO."""
    return [
        Vote(f"seed {seed}, simulated {person}", item, question, (item % 2) ^ int(person >= for_qsd), 4.0, 0.0)
        for question, row in outcomes.items()
        for item, for_qsd in enumerate(row)
        for person in range(5)
    ]


ONE = {"preference": (5, 4, 3, 2), "appeal": (5, 5, 5, 5), "alignment": (0, 0, 0, 0)}
TWO = {"preference": (0, 0, 3, 2), "appeal": (5, 5, 5, 5), "alignment": (0, 0, 0, 0)}


def test_a_rate_is_turned_to_the_other_side():
    rate = Rate(0.3, 0.1, 0.6, 0.2, 0.5)
    one = WinRate(DPO, QSD, None, 10, 3, 0, 7, 2, rate, rate, Interval(0.4, 0.3, 0.6))
    turned = prefers_qsd(one)
    assert (turned.a, turned.b, turned.wins, turned.losses, turned.undecided) == (QSD, DPO, 7, 3, 2)
    assert asdict(turned.rate) == pytest.approx(
        {"value": 0.7, "wilson_low": 0.4, "wilson_high": 0.9, "low": 0.5, "high": 0.8}
    )
    assert asdict(turned.share) == pytest.approx({"value": 0.6, "low": 0.4, "high": 0.7})
    assert prefers_qsd(turned) == turned


def test_four_of_four_say_too_little():
    """Exact limits of k of k at 95 %: 0.025^(1/k) = 0.398 of 4, 0.541 of 6; of none 0 to 1 is not asked."""
    rate = Rate(0.52, 0.42, 0.62, 0.505, 0.54)
    four = WinRate(QSD, DPO, None, 100, 4, 95, 0, 1, rate, rate, Interval(0.5, 0.5, 0.5))
    assert asdict(above_half(four)) == pytest.approx({"value": 0.02, "low": 0.025**0.25 - 0.5, "high": 0.5})
    assert above_half(replace(four, wins=6)).low == pytest.approx(0.005)
    assert above_half(replace(four, wins=0)) == Interval(0.52 - 0.5, 0.505 - 0.5, 0.54 - 0.5)


def test_two_studies_of_the_same_prompts_are_one():
    """Preference: QSD has the majority in 3 of 4 pairs and in 1 of 4: 4 of 8, over 4 prompts, by 10 raters."""
    found = pooled([(items(), votes(0, ONE)), (items(), votes(1, TWO))])
    assert found.raters == 10
    one = next(each for each in found.after if each.question == "preference")
    rate = prefers_qsd(next(each for each in one.win_rates if each.category is None))
    assert (rate.wins, rate.losses, rate.prompts, rate.rate.value) == (4, 4, 4, 0.5)
    assert one.agreement.units == 8


def put(shop, seed, outcomes):
    place = shop.place(BEST, seed)
    designs.write(place / "study", Design(title="t", kind="pair", items=items()))
    write_json(place / VOTES, [asdict(vote) for vote in votes(seed, outcomes)])


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def test_the_page_by_hand(tmp_path):
    shop = by_hand(tmp_path)
    put(shop, 0, ONE)
    put(shop, 1, TWO)
    text = exhibit().write(Results(shop), tmp_path)
    heading, *_ = text.splitlines()
    assert heading == "### QSD, figure 5: blind study (world); simulated raters, no people"
    assert "4 pairs (the paper: 100), 120 votes of 10 simulated raters in 2 studies" in text
    found = rows(text)
    counts, rate, _, _, alone, _, verdict, *paper = found["preference"]
    assert (counts, alone, verdict) == ("4 / 0 / 4 / 0", "0.75, 0.25", "not distinguishable")
    assert rate == "0.500 (0.215 to 0.785)"  # Wilson, 8 pairs
    assert paper == ["0.62", "0.58"]
    assert found["appeal"][0] == "8 / 0 / 0 / 0"
    assert found["appeal"][6] == "holds"
    assert found["alignment"][0] == "0 / 0 / 8 / 0"
    assert found["alignment"][6] == "does not hold: the other way round"
    assert found["one"][0].startswith("0.500 (")
    assert json.loads((tmp_path / "study.json").read_text())["simulated raters"] is True


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
    assert "imulated" not in text
