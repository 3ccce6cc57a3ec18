"""DDE's tables as arms, and its claims in the direction that the paper says."""

from __future__ import annotations

from dataclasses import replace

from tastemaker.reproduce import dde, published, world_profile
from tastemaker.reproduce.arm import Arm


def tables():
    return {table.key: table for table in dde.tables(world_profile.profile())}


def test_rows_are_those_of_the_paper():
    labels = [row.label for row in tables()["dde"].rows]
    assert labels == ["base", "SFT", "Uniform", "Discounted", "DDE", "DDE-single", "DDE-step"]
    arms = [row.arm for row in tables()["dde"].rows]
    assert arms[:3] == [None, Arm("world", loss="sft"), Arm("world")]
    assert [arm.credit for arm in arms[2:]] == ["uniform", "discounted", "dde", "dde-single", "dde-step"]


def test_steps_are_those_of_the_paper():
    credits = [row.arm.credit for row in tables()["steps"].rows[1:]]
    slices = [f"slice-{low}" for low in ("0.0-0.1", "0.3-0.4", "0.5-0.6", "0.7-0.8", "0.9-1.0")]
    assert credits == ["uniform", "range-200-700", *slices]


def test_claims_in_the_papers_direction():
    """`better` above `worse`; "falls below the base" has the base on the better side."""
    said = {claim.says: (claim.better, claim.worse) for table in tables().values() for claim in table.claims}
    arm = {name: Arm("world", credit=name) for name in ("uniform", "dde", "dde-single", "dde-step")}
    assert said["DDE improves on the base"] == (arm["dde"], None)
    assert said["DDE beats Uniform"] == (arm["dde"], arm["uniform"])
    assert said["DDE-single is as good as DDE or better"] == (arm["dde-single"], arm["dde"])
    assert said["DDE (both parts) improves two of three metrics, here over Uniform"] == (arm["dde"], arm["uniform"])
    assert said["DDE-step falls below the base, at the end of training"] == (None, replace(arm["dde-step"], last=True))
    assert said["t in 200–700 beats all steps"] == (Arm("world", credit="range-200-700"), arm["uniform"])
    assert said["t/T in 0–0.1 improves on the base"] == (Arm("world", credit="slice-0.0-0.1"), None)
    assert said["t/T in 0.9–1 falls below the base, at the end of training"] == (
        None,
        Arm("world", credit="slice-0.9-1.0", last=True),
    )


def test_what_the_paper_says_and_what_we_check():
    """Order of the baselines is ours. Gains and ablation are on three metrics, all of them or two."""
    said = {claim.says: claim for claim in tables()["dde"].claims}
    assert [says for says, claim in said.items() if claim.whose == "ours"] == [
        "Uniform beats SFT",
        "SFT beats the base",
        "DDE beats Uniform",
        "DDE beats Discounted",
    ]
    three = ("CLIP", "HPSv2", "PickScore")
    rules = {says: (claim.metrics, claim.share, claim.margin) for says, claim in said.items() if claim.metrics}
    assert rules == {
        "DDE improves on the base": (three, 1.0, 0.0),
        "DDE-single is as good as DDE or better": (three, 1.0, 0.1),
        "DDE (both parts) improves two of three metrics, here over Uniform": (three, 2 / 3, 0.0),
    }
    assert {claim.whose for claim in tables()["steps"].claims} == {"paper"}


def test_published_figures_are_those_of_our_source():
    """Its one absolute score is of Uniform, Stable Diffusion 1.5; the gains have a table of their own."""
    assert published.DDE_GAINS["sd15"] == {"CLIP": 0.067, "HPS": 0.039, "PickScore": 0.033}
    assert published.DDE_GAINS["sdxl"] == {"CLIP": 0.014, "HPS": 0.010, "PickScore": 0.031}
    shown = {row.label: row.published for table in tables().values() for row in table.rows if row.published}
    assert shown == {"all steps": (0.331,)}
    steps = tables()["steps"]
    assert (steps.metrics, steps.digits, steps.source) == (("CLIP",), 3, "SD1.5")
    assert "gains" in {exhibit.key for exhibit in dde.exhibits(world_profile.profile())}


def test_sdxl_has_no_such_score():
    profile = world_profile.profile()
    told = replace(profile, models={"sdxl-full": profile.models["world"]})
    assert all(row.published == () for table in dde.tables(told) for row in table.rows)


def test_the_base_model_is_shared_with_qsd():
    """Uniform credit on all pairs is QSD's baseline: one run."""
    assert Arm("world") in tables()["dde"].arms
    assert Arm("world") in tables()["steps"].arms


def test_several_models_have_a_table_each():
    profile = world_profile.profile()
    model = profile.models["world"]
    keys = [table.key for table in dde.tables(replace(profile, models={"sd15": model, "sdxl": model}))]
    assert keys == ["dde-sd15", "steps-sd15", "dde-sdxl", "steps-sdxl"]
