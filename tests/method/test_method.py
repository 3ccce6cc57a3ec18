"""The method as a value: defaults, refusals, no torch on the way."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
import torch
import yaml
from pydantic import ValidationError

from tastemaker.method.evidence import Denoising
from tastemaker.method.links import Link, Logistic, Sft
from tastemaker.method.method import Method
from tastemaker.method.weight import Constant
from tastemaker.method.when import Range, Uniform, When
from tastemaker.process.prediction import Prediction


def members(union):
    """The classes of an annotated union."""
    return get_args(get_args(union)[0])


def test_the_default_is_diffusion_dpo_as_published():
    method = Method()
    assert method.link == Logistic(beta=2000.0, label_smoothing=0.0)
    assert method.needs_reference
    assert method.needs_loser
    assert method.credit.when == Uniform()


def test_a_recipe_section_is_the_method_written_down():
    section = {
        "evidence": {"kind": "denoising", "reference": "base"},
        "credit": {"when": {"kind": "range", "low": 0.2, "high": 0.7}, "weight": {"kind": "constant"}},
        "link": {"kind": "sft"},
    }
    method = Method.model_validate(section)
    assert method.model_dump() == section
    assert not method.needs_reference
    assert not method.needs_loser


@pytest.mark.parametrize(
    ("section", "path", "reason"),
    [
        ({"link": {"kind": "logistic", "betta": 1}}, ("link", "logistic", "betta"), "Extra inputs"),
        ({"link": {"kind": "logistic", "beta": 0}}, ("link", "logistic", "beta"), "greater than 0"),
        ({"link": {"kind": "logistic", "label_smoothing": 0.5}}, ("link", "logistic", "label_smoothing"), "less than"),
        ({"link": {"kind": "hinge"}}, ("link",), "hinge"),
        ({"credit": {"when": {"kind": "range", "low": 0.7, "high": 0.2}}}, ("credit", "when", "range"), "below high"),
        ({"evidence": {"reference": "none"}}, (), "evidence.reference is 'none': set it to 'base'"),
        ({"strength": 1}, ("strength",), "Extra inputs"),
    ],
)
def test_what_has_no_meaning_is_refused_with_path_and_reason(section, path, reason):
    with pytest.raises(ValidationError) as caught:
        Method.model_validate(section)
    error = caught.value.errors()[0]
    assert error["loc"] == path
    assert reason in error["msg"]


def test_sft_needs_no_reference():
    assert not Method(evidence={"reference": "none"}, link=Sft()).needs_reference


def test_methods_are_frozen_and_hashable():
    assert hash(Method()) == hash(Method())
    with pytest.raises(ValidationError):
        Method().link = Sft()


def test_uniform_visits_every_step_equally_and_none_beyond():
    u = torch.arange(4000, dtype=torch.float64) / 4000
    steps = Uniform().draw(u, 1000)
    assert steps.dtype == torch.int64
    assert torch.equal(steps.bincount(), torch.full((1000,), 4))
    assert Uniform().draw(torch.tensor([1 - 2**-53], dtype=torch.float64), 1025).tolist() == [1024]


def test_range_of_the_dde_paper_is_200_to_699():
    u = torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert Range(low=0.2, high=0.7).draw(u, 1000).tolist() == [200, 450, 699]


def test_a_narrow_range_keeps_one_step():
    u = torch.tensor([0.0, 0.99], dtype=torch.float64)
    assert Range(low=0.9999, high=1).draw(u, 10).tolist() == [9, 9]


def test_constant_weight_is_one_for_each_row():
    alpha = torch.tensor([0.1, 0.9])
    prediction = Prediction(torch.zeros(2, 1), torch.zeros(2, 1), alpha, (1 - alpha**2).sqrt(), "eps")
    assert Constant()(prediction).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("part", [*members(Link), *members(When), Constant, Denoising], ids=lambda part: part.__name__)
def test_every_part_has_its_row_in_the_documents(part, root):
    rows = (root / "docs" / "methods.md").read_text(encoding="utf-8").splitlines()
    kind = part.model_fields["kind"].default
    [row] = [row for row in rows if row.startswith(f"| `{kind}`")]
    fields = set(part.model_fields) - {"kind"}
    assert all(f"`{field}`" in row for field in fields)


def test_the_documented_section_is_the_default(root):
    text = (root / "docs" / "methods.md").read_text(encoding="utf-8")
    section = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    assert Method.model_validate(section["method"]) == Method() == Method.model_validate({})


def test_reading_a_method_imports_no_torch():
    code = (
        "import sys, tastemaker.method.method, tastemaker.backbone.choice;"
        "print([name for name in ('torch', 'numpy', 'diffusers') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
