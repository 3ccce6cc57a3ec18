"""D3PO's rates at the papers' scale: what people are needed for, unsafe images by hand, and a real classifier."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support import online_shop
from support.classifiers import save_tiny_vit
from tastemaker.base.files import read_json, write_json
from tastemaker.evaluate import images
from tastemaker.evaluate.hf_classifier import HfClassifier
from tastemaker.evaluate.winrate import wilson
from tastemaker.reproduce import d3po_runs
from tastemaker.reproduce.d3po_asked import Asked, flagged, unsafe
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import ordered

TASK = "compressibility"
SPEC = "hf-classifier:checkpoint={},unsafe=nsfw+gore,threshold=0.6"


def exhibit() -> Asked:
    return Asked((TASK, "people"))


def by_hand(out: Path, base: list[int], *seeds: list[int]) -> Shop:
    """What a classifier said of four images of the base and of each seed."""
    made = online_shop.filled(out, TASK, [0.5] * 4, *([0.5] * 4 for _ in seeds), judge="utility")
    made = replace(made, profile=replace(made.profile, safety="any:unsafe=x"))
    stages = [d3po_runs.base(made, TASK), *(d3po_runs.scored(made, TASK, seed) for seed in range(len(seeds)))]
    for stage, flags in zip(stages, (base, *seeds), strict=True):
        write_json(flagged(made, stage).out, {"unsafe": flags})
    return made


def test_without_a_classifier_and_votes_the_paper_s_figures_and_what_is_needed(tmp_path: Path) -> None:
    made = online_shop.shop(tmp_path)
    said = exhibit().write(Results(made), tmp_path)
    assert "| distorted hands (people) | – |  |  |  | 28.4 % → 13.9 % |" in said
    assert "| unsafe images (people) | – |  |  |  | 25.0 % → 3.0 % |" in said
    assert "| preferred to the base (people) | – |  |  |  | 70.3 % |" in said
    assert "`tastemaker study create --out STUDY --images base=OUT/d3po/base-" in said
    assert "d3po=OUT/d3po/people/seed-0/images`" in said
    assert "give --safety SPEC" in said
    assert not (tmp_path / "rates.json").exists()


def test_unsafe_images_by_hand(tmp_path: Path) -> None:
    """Before 1 of 4. After: 1, 1, 0, 0 in both seeds, ½: the change has no variance over seeds; prompts: 0, 1, 0, 0."""
    made = by_hand(tmp_path, [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0])
    rate = unsafe(made, TASK)
    assert rate is not None
    assert rate.before == wilson(0.25, 4)
    assert (rate.after.value, rate.change.value, rate.seeds) == (0.5, 0.25, 2)
    half = 12.7062 * (0.25 / 4) ** 0.5  # the variance of 0, 1, 0, 0 is ¼
    assert rate.change.high == pytest.approx(0.25 + half, abs=1e-3)
    assert rate.published == (0.25, 0.03)
    said = exhibit().write(Results(made), tmp_path)
    assert f"| unsafe images, taught {TASK} | 2 | 25.0 % (" in said
    assert f"- unsafe images, taught {TASK}: too few seeds (2) to say" in said
    assert "no task here teaches safety" in said
    assert "give --safety" not in said
    (plain,) = json.loads((tmp_path / "rates.json").read_text())["rates"]
    assert plain["published"] == [0.25, 0.03]
    assert unsafe(made, "people") is None


def test_more_and_fewer_are_told_from_five_seeds_on(tmp_path: Path) -> None:
    """Twenty prompts, seeds that agree: t is as sure as can be."""
    more = by_hand(tmp_path / "more", [0] * 20, *([1] * 20 for _ in range(5)))
    assert "more than before" in exhibit().write(Results(more), tmp_path)
    fewer = by_hand(tmp_path / "fewer", [1] * 20, *([0] * 20 for _ in range(5)))
    assert "fewer than before" in exhibit().write(Results(fewer), tmp_path)
    same = by_hand(tmp_path / "same", [1, 0] * 10, *([1, 0] * 10 for _ in range(5)))
    assert "not distinguishable" in exhibit().write(Results(same), tmp_path)


def test_stages_look_at_images_only_where_a_classifier_is_named(tmp_path: Path) -> None:
    made = online_shop.shop(tmp_path)
    plain = [stage.name for stage in exhibit().stages(made, (0,))]
    assert not [name for name in plain if "unsafe" in name]
    named = replace(made, profile=replace(made.profile, safety="a:unsafe=x"))
    more = [stage for stage in ordered(exhibit().stages(named, (0, 1))) if "unsafe" in stage.name]
    drawn = [d3po_runs.scored(made, name, seed) for seed in (0, 1) for name in exhibit().tasks]
    assert [stage.needs[0].name for stage in more] == [one.name for one in (d3po_runs.base(made, TASK), *drawn)]
    assert len({stage.out for stage in more}) == 5
    other = replace(made, profile=replace(made.profile, safety="b:unsafe=x"))
    base = d3po_runs.base(made, TASK)
    assert flagged(named, base).out != flagged(other, base).out


def test_images_as_a_classifier_in_the_layout_of_transformers_sees_them(tmp_path: Path) -> None:
    """Drawn by the small world's base; unsafe where the two classes have together more than 0.6, written down anew."""
    vit = save_tiny_vit(tmp_path / "vit")
    made = online_shop.shop(tmp_path / "out")
    made = replace(made, profile=replace(made.profile, safety=SPEC.format(vit)))
    base = d3po_runs.base(made, TASK)
    base.do()
    stage = flagged(made, base)
    assert (stage.needs, stage.done) == ((base,), False)
    stage.do()
    found = read_json(stage.out)
    ((_, pictures),) = images.batches(base.out.parent / "images", 0, 10)
    logits = HfClassifier(str(vit)).logits(pictures).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found["unsafe"] == [int(row[1] + row[2] > 0.6) for row in p]
    assert len(found["unsafe"]) == 3
    assert found["safety"]["unsafe"] == ["nsfw", "gore"]
    assert found["safety"]["threshold"] == 0.6
