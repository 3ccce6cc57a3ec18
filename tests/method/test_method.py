"""The method as a value: defaults, refusals with path and reason, rows in the documents, no torch on the way."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
import torch
import yaml
from pydantic import ValidationError

from tastemaker.base.errors import UserError
from tastemaker.method.evidence import Denoising
from tastemaker.method.links import Link
from tastemaker.method.method import Credit, Method
from tastemaker.method.odds import Odds
from tastemaker.method.pairwise import Hinge, Logistic, Squared
from tastemaker.method.pointwise import Pointwise, Sft
from tastemaker.method.stepwise import Stepwise
from tastemaker.method.weight import Constant, MinSnr, SingleShot, Weight
from tastemaker.method.when import LogitNormal, Uniform, When
from tastemaker.process.schedule import rectified_flow, variance_preserving


def members(union):
    """The classes of an annotated union."""
    return get_args(get_args(union)[0])


def test_the_default_is_diffusion_dpo_as_published():
    method = Method()
    assert method.link == Logistic(beta=2000.0, label_smoothing=0.0)
    assert method.credit == Credit(when=Uniform(), weight=Constant(), correction=None)
    assert method.evidence == Denoising(reference="base")


def test_defaults_are_the_published_settings():
    """β of DPO, IPO and SLiC alike; δ = 1 without regulariser, ORPO λ = 0.1, KTO λ = 1, min-SNR 5, SD3's 0 and 1."""
    assert all(link().beta == 2000 for link in (Logistic, Squared, Hinge))
    assert (Hinge().delta, Hinge().regulariser) == (1, 0)
    assert Odds().weight == 0.1
    assert (Pointwise().beta, Pointwise().liked_weight, Pointwise().disliked_weight) == (1000, 1, 1)
    assert MinSnr().gamma == 5
    assert (LogitNormal().mean, LogitNormal().std) == (0, 1)
    assert (Stepwise().decay, Stepwise().scale) == (0.99, 1)


@pytest.mark.parametrize(
    ("section", "reference", "loser"),
    [
        ({"link": {"kind": "logistic"}}, True, True),
        ({"link": {"kind": "squared"}}, True, True),
        ({"link": {"kind": "hinge"}}, True, True),
        ({"link": {"kind": "hinge"}, "evidence": {"reference": "none"}}, False, True),
        ({"link": {"kind": "odds"}}, False, True),
        ({"link": {"kind": "pointwise"}}, True, True),
        ({"link": {"kind": "sft"}}, False, False),
        ({"link": {"kind": "sft"}, "evidence": {"reference": "none"}}, False, False),
    ],
)
def test_a_method_says_what_it_reads(section, reference, loser):
    method = Method.model_validate(section)
    assert (method.needs_reference, method.needs_loser) == (reference, loser)


def test_a_recipe_section_is_the_method_written_down():
    section = {
        "evidence": {"kind": "denoising", "reference": "base"},
        "credit": {
            "when": {"kind": "range", "low": 0.2, "high": 0.7},
            "weight": {"kind": "single-shot"},
            "correction": {"kind": "stepwise", "decay": 0.9, "scale": 2.0},
        },
        "link": {"kind": "hinge", "beta": 500.0, "delta": 2.0, "regulariser": 0.5},
    }
    assert Method.model_validate(section).model_dump() == section


NO_REFERENCE = {"evidence": {"reference": "none"}}
CORRECTED = {"credit": {"correction": {"kind": "stepwise"}}}
CLIPPED = {"credit": {"correction": {"kind": "ratio-clip"}}}
WALKED = {"evidence": {"kind": "transition"}}
BOTH = {"when": {"kind": "discounted"}, "weight": {"kind": "discounted"}}


def correction(**fields):
    return {"credit": {"correction": {"kind": "stepwise"} | fields}}


@pytest.mark.parametrize(
    ("section", "path", "reason"),
    [
        (NO_REFERENCE, (), "link 'logistic' compares with a reference, but evidence.reference is 'none': set it to"),
        (NO_REFERENCE | {"link": {"kind": "squared"}}, (), "link 'squared' compares with a reference"),
        (NO_REFERENCE | {"link": {"kind": "pointwise"}}, (), "link 'pointwise' compares with a reference"),
        ({"credit": BOTH}, ("credit",), "counts γ twice: leave one at its default"),
        (CORRECTED | {"link": {"kind": "sft"}}, (), "link 'sft' only adds it to the loss"),
        ({"strength": 1}, ("strength",), "Extra inputs"),
        ({"evidence": {"refrence": "base"}}, ("evidence", "denoising", "refrence"), "Extra inputs"),
        ({"credit": {"weigth": {}}}, ("credit", "weigth"), "Extra inputs"),
        ({"link": {"kind": "slic"}}, ("link",), "'hinge'"),
        ({"credit": {"weight": {"kind": "dde"}}}, ("credit", "weight"), "'single-shot'"),
        ({"credit": {"when": {"kind": "sometimes"}}}, ("credit", "when"), "'logit-normal'"),
        ({"link": {"kind": "logistic", "betta": 1}}, ("link", "logistic", "betta"), "Extra inputs"),
        ({"link": {"kind": "logistic", "beta": 0}}, ("link", "logistic", "beta"), "greater than 0"),
        ({"link": {"kind": "logistic", "label_smoothing": 0.5}}, ("link", "logistic", "label_smoothing"), "less than"),
        ({"link": {"kind": "hinge", "regulariser": -1}}, ("link", "hinge", "regulariser"), "greater than or equal"),
        ({"link": {"kind": "odds", "weight": 0}}, ("link", "odds", "weight"), "greater than 0"),
        ({"link": {"kind": "sft", "beta": 1}}, ("link", "sft", "beta"), "Extra inputs"),
        ({"credit": {"when": {"kind": "range", "low": 0.7, "high": 0.2}}}, ("credit", "when", "range"), "below high"),
        (
            {"credit": {"when": {"kind": "range", "high": 700}}},
            ("credit", "when", "range", "high"),
            "less than or equal",
        ),
        (
            {"credit": {"when": {"kind": "discounted", "gamma": 1}}},
            ("credit", "when", "discounted", "gamma"),
            "less than",
        ),
        ({"credit": {"weight": {"kind": "min-snr", "gamma": 0}}}, ("credit", "weight", "min-snr", "gamma"), "greater"),
        (correction(decay=1), ("credit", "correction", "stepwise", "decay"), "less than 1"),
        (
            WALKED | {"link": {"kind": "odds"}},
            (),
            "link 'odds' has no meaning on evidence 'transition': it is made for",
        ),
        (
            WALKED | {"credit": {"weight": {"kind": "min-snr"}}},
            (),
            "credit.weight 'min-snr' has no meaning on evidence",
        ),
        (WALKED | {"credit": {"weight": {"kind": "epsilon"}}}, (), "credit.weight 'epsilon' has no meaning"),
        (WALKED | {"credit": {"weight": {"kind": "single-shot"}}}, (), "credit.weight 'single-shot' has no meaning"),
        (WALKED | {"credit": {"when": {"kind": "discounted"}}}, (), "credit.when 'discounted' has no meaning"),
        (WALKED | {"credit": {"when": {"kind": "logit-normal"}}}, (), "credit.when 'logit-normal' has no meaning"),
        (WALKED | CORRECTED, (), "credit.correction 'stepwise' has no meaning on evidence 'transition'"),
        (
            CLIPPED,
            (),
            "credit.correction 'ratio-clip' has no meaning on evidence 'denoising': it is made for transition",
        ),
        (WALKED | CLIPPED | {"link": {"kind": "sft"}}, (), "link 'sft' only adds it to the loss"),
        (
            {"evidence": {"kind": "transition", "reference": "none"}, "link": {"kind": "hinge"}} | CLIPPED,
            (),
            "bounds the ratio to a reference",
        ),
        (
            {"evidence": {"kind": "transition", "steps": 0}},
            ("evidence", "transition", "steps"),
            "greater than or equal",
        ),
        (
            {"credit": {"correction": {"kind": "ratio-clip", "epsilon": 1}}},
            ("credit", "correction", "ratio-clip", "epsilon"),
            "less than 1",
        ),
        (correction(scale=0), ("credit", "correction", "stepwise", "scale"), "greater than 0"),
    ],
)
def test_what_has_no_meaning_is_refused_with_path_and_reason(section, path, reason):
    with pytest.raises(ValidationError) as caught:
        Method.model_validate(section)
    [error] = caught.value.errors()
    assert error["loc"] == path
    assert reason in error["msg"]


def test_methods_are_frozen_and_hashable():
    assert hash(Method()) == hash(Method())
    with pytest.raises(ValidationError):
        Method().link = Sft()


PLAIN = variance_preserving(torch.tensor([0.9, 0.5, 0.1]))
ZERO = variance_preserving(torch.tensor([0.9, 0.5, 0.0]))
FLOW = rectified_flow(torch.tensor([0.2, 0.6, 1.0]))
OF_X0 = [
    (Credit(weight=SingleShot()), "weight.kind: single-shot", "weight.kind: constant"),
    (Credit(weight=MinSnr()), "weight.kind: min-snr", "weight.kind: constant"),
    (Credit(correction=Stepwise()), "correction.kind: stepwise", "no correction"),
]


@pytest.mark.parametrize(("credit", "name", "instead"), OF_X0, ids=[name for _, name, _ in OF_X0])
def test_what_speaks_of_x0_is_refused_where_epsilon_says_nothing_of_it(credit, name, instead):
    method = Method(credit=credit)
    with pytest.raises(UserError) as caught:
        method.require(ZERO, "eps")
    [line] = str(caught.value).splitlines()
    assert f"method.credit.{name} speaks of x0" in line
    assert "predicts eps" in line
    assert line.endswith(f"or {instead}")
    for schedule, head in ((PLAIN, "eps"), (ZERO, "v"), (ZERO, "x0"), (FLOW, "flow")):
        method.require(schedule, head)


def test_plain_credit_suits_every_model():
    for schedule, head in ((ZERO, "eps"), (PLAIN, "eps"), (ZERO, "v"), (FLOW, "flow")):
        Method().require(schedule, head)


PARTS = [*members(Link), *members(When), *members(Weight), Stepwise, Denoising]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_part_has_its_row_in_the_documents(part, root):
    """One row of that kind in which every field is named."""
    rows = (root / "docs" / "methods.md").read_text(encoding="utf-8").splitlines()
    kind = part.model_fields["kind"].default
    fields = set(part.model_fields) - {"kind"}
    found = [row for row in rows if row.startswith(f"| `{kind}` |")]
    assert any(all(f"`{field}`" in row for field in fields) for row in found)
    assert len(found) == sum(other.model_fields["kind"].default == kind for other in PARTS)


def test_the_documented_section_is_the_default(root):
    text = (root / "docs" / "methods.md").read_text(encoding="utf-8")
    section = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    assert Method.model_validate(section["method"]) == Method() == Method.model_validate({})


@pytest.mark.parametrize(
    "module", ["tastemaker.method.method", "tastemaker.train.recipe", "tastemaker.backbone.choice"]
)
def test_reading_a_method_imports_no_torch(module):
    code = f"import sys, {module};print([name for name in ('torch', 'numpy', 'diffusers') if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
