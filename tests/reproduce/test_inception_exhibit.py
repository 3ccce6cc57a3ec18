"""DDE's table 4: captions, scores by hand, the table of known logits, and a real drawing in the small world."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from support.reproduced import by_hand, small_profile, write_arm, write_base
from tastemaker.base.files import write_json
from tastemaker.cli.scorers import build
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Missing
from tastemaker.reproduce.gallery import ImageNet, Singles
from tastemaker.reproduce.inception_exhibit import classifier, drawn, exhibits, hits, scores
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Needed
from tastemaker.reproduce.world_profile import profile
from tastemaker.world.captions import parse, split_of
from tastemaker.world.classifier import CLASSES, class_of, train_classifier
from tastemaker.world.fit import Plan

DPO = Arm("world")
SURE = 40.0
"""A logit that leaves the other classes nothing."""
WORLD = Singles()
CLASSES_OF = WORLD.classes()


def exhibit():
    return next(exhibits(profile(), {"Uniform": DPO}, "world"))


def sure(classes, samples=10):
    """Logits [captions, samples, 24] of images that surely show ``classes`` [captions]."""
    return np.repeat(SURE * np.eye(24)[np.asarray(classes)][:, None], samples, axis=1)


def test_captions_are_fixed_single_and_not_of_the_tune_split():
    texts, classes = WORLD.prompts(), CLASSES_OF
    scenes = [parse(text) for text in texts]
    assert len(set(texts)) == len(texts) == 4 * 24
    assert [class_of(scene) for scene in scenes] == list(classes)
    assert all(scene.things[0].place == "center" for scene in scenes)
    assert {split_of(scene) for scene in scenes} == {"train", "test"}
    assert Singles(seed=1).prompts() != texts


def test_scores_by_hand():
    """Sure of one of 24 classes, each equally often: 24. Sure of one of two: 2. All classes alike: 1."""
    assert scores(sure(CLASSES_OF), 5) == pytest.approx(np.full(5, 24.0))
    assert scores(sure([number % 2 for number in CLASSES_OF]), 5) == pytest.approx(np.full(5, 2.0))
    assert scores(np.zeros((96, 10, 24)), 5) == pytest.approx(np.ones(5))


def test_a_part_holds_the_same_samples_of_every_caption():
    """Samples 4 and 5 of all captions are of one class: part 2 alone falls to 1."""
    logits = sure(CLASSES_OF)
    logits[:, 4:6] = SURE * np.eye(24)[0]
    assert scores(logits, 5) == pytest.approx([24, 24, 1, 24, 24])
    assert hits(logits, CLASSES_OF, 5) == pytest.approx([1, 1, 1 / 24, 1, 1])


@pytest.fixture
def shop(tmp_path):
    """A base that is sure of 12 classes, an arm that is sure of 24 in seed 0."""
    made = by_hand(tmp_path)
    write_base(made, {"utility": [0.0] * 4, "correct": [0] * 4})
    write_arm(made, DPO, 0, {"utility": [0.0] * 4, "correct": [0] * 4})
    accuracy = {"true renders": 1.0, "reconstructions": 0.98}
    write_json(classifier(made, WORLD).out, {"classes": 24, "held_out": 2000, "accuracy": accuracy})
    put(made, None, 0, sure([number % 12 for number in CLASSES_OF]))
    put(made, DPO, 0, sure(CLASSES_OF))
    return made


def put(shop, arm, seed, logits, gallery=WORLD):
    out = drawn(shop, gallery, "world", arm, seed).out
    out.parent.mkdir(parents=True, exist_ok=True)
    np.save(out, logits.astype(np.float32))


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_by_hand(shop, tmp_path):
    """Of one seed nothing is said; of two, the second equal to the base: mean gain (12 + 0)/2, no verdict."""
    text = exhibit().write(Results(shop), tmp_path)
    assert "100.0% of true renders and 98.0% of reconstructions of 2000" in text
    assert "Images: 960 an arm and seed" in text
    assert rows(text)[1:] == [
        ["base", "1", "12.000", "", "", "0.500"],
        ["Uniform", "1", "24.000", "+12.000 (one seed)", "too few seeds (1) to say", "1.000"],
    ]
    write_arm(shop, DPO, 1, {"utility": [0.0] * 4, "correct": [0] * 4})
    put(shop, DPO, 1, sure([number % 12 for number in CLASSES_OF]))
    _, _, (_, seeds, score, change, verdict, right) = rows(exhibit().write(Results(shop), tmp_path))
    assert (seeds, score, verdict, right) == ("2", "18.000", "too few seeds (2) to say", "0.750")
    assert change.startswith("+6.000 (")
    plain = json.loads((tmp_path / "inception.json").read_text())
    assert plain["settings"] == {"a class": 4, "samples": 10, "parts": 5, "seed": 0}
    assert [line["label"] for line in plain["lines"]] == ["base", "Uniform"]


def test_nothing_is_written_of_nothing(tmp_path):
    assert exhibit().write(Results(by_hand(tmp_path)), tmp_path) == ""


def test_elsewhere_class_names_are_asked_for():
    real = profile()
    other = replace(real, models={"sd15": replace(real.models["world"], base="owner/model")})
    (missing,) = exhibits(other, {"Uniform": DPO}, "sd15", "-sd15")
    assert isinstance(missing, Missing)
    assert (missing.key, list(missing.stages(by_hand("out"), (0,)))) == ("inception-sd15", [])
    assert "--class-names FILE, 1000 lines" in missing.write(None, None)
    named = replace(other, gallery=ImageNet(("crane", "crane")))
    (table,) = exhibits(named, {"Uniform": DPO}, "sd15", "-sd15")
    assert table.gallery is named.gallery


def test_of_a_classifier_with_other_outputs_the_captions_class_is_not_told(shop, tmp_path):
    """Two prompts, four outputs. The base is sure of one of two: 2; the arm shows four in each part: 4."""
    gallery = ImageNet(("crane", "crane"), "some-classifier", samples=4, parts=2)
    table = replace(exhibit(), gallery=gallery)
    write_json(classifier(shop, gallery).out, {"id": "some@1", "classes": 4})
    two, four = SURE * np.eye(4)[[[0] * 4, [1] * 4]], SURE * np.eye(4)[[[0, 1, 0, 1], [2, 3, 2, 3]]]
    put(shop, None, 0, two, gallery)
    put(shop, DPO, 0, four, gallery)
    text = table.write(Results(shop), tmp_path)
    assert rows(text)[1:] == [
        ["base", "1", "2.000", "", "", "–"],
        ["Uniform", "1", "4.000", "+2.000 (one seed)", "too few seeds (1) to say", "–"],
    ]
    assert 'some@1 of 4 outputs. Images: 8 an arm and seed, 4 of "A photo of …" for each of 2 class names' in text
    assert "Our source prints no figures" in text
    plain = json.loads((tmp_path / "inception.json").read_text())
    assert [line["right"] for line in plain["lines"]] == [None, None]
    assert plain["settings"] == {"classes": 2, "samples": 4, "parts": 2, "classifier": "some-classifier"}
    put(shop, None, 0, two[..., :2], gallery)
    put(shop, DPO, 0, two[..., :2], gallery)
    assert [row[-1] for row in rows(table.write(Results(shop), tmp_path))[1:]] == ["1.000", "1.000"]


def test_images_of_a_named_classifier_lie_apart_from_those_of_another(tmp_path):
    made = by_hand(tmp_path)
    folders = {drawn(made, gallery, "world", None, 0).out.parent for gallery in galleries()}
    names = {drawn(made, gallery, "world", None, 0).name for gallery in galleries()}
    assert len(folders) == len(names) == len(list(galleries()))
    assert tmp_path / "runs" / "world-base" / "inception" in folders


def galleries():
    one = ImageNet(("a", "b"))
    yield from (WORLD, one, replace(one, spec="other"), replace(one, samples=20), replace(one, names=("a", "c")))


def test_stages_need_the_chosen_checkpoint_and_the_classifier(tmp_path):
    made = by_hand(tmp_path)
    stages = list(exhibit().stages(made, (0, 1)))
    assert [stage.name for stage in stages] == [
        "inception world base",
        f"inception {DPO.name} seed 0",
        f"inception {DPO.name} seed 1",
    ]
    assert [need.name for need in stages[1].needs] == ["classifier", made.scored(DPO, 0).name]
    assert [stage.reads for stage in stages] == 3 * [(Needed("model", made.profile.models["world"].base),)]


@pytest.mark.slow
def test_images_are_drawn_and_seen_and_a_second_run_changes_nothing(tmp_path):
    """The real base and a classifier after a few steps; a caption a class, one sample a part."""
    gallery, made = Singles(each=1, samples=5), Shop(tmp_path, small_profile(tmp_path / "source"), build)
    write_base(made, {"utility": [0.0] * 4, "correct": [0] * 4})
    plan = Plan(steps=2, batch=4, lr=1e-3, checkpoint_every=2)
    train_classifier(classifier(made, gallery).out.parent, plan=plan)
    stage = drawn(made, gallery, "world", None, 0)
    stage.do()
    found = np.load(stage.out)
    assert found.shape == (24, 5, len(CLASSES))
    before = stage.out.read_bytes()
    stage.out.unlink()
    stage.do()
    assert stage.out.read_bytes() == before
