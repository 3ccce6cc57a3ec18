"""Recipes: reading, overriding, validating, writing back, and the one line for whatever is wrong."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker.base.config import apply_overrides, closest, field_help, read_yaml, validate, write_yaml
from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Logistic(Frozen):
    kind: Literal["logistic"] = "logistic"
    beta: float = Field(2000.0, gt=0, description="β per mean squared error")


class Squared(Frozen):
    kind: Literal["squared"] = "squared"
    tau: float = 1.0


Link = Annotated[Logistic | Squared, Field(discriminator="kind")]


class Method(Frozen):
    link: Link = Logistic()
    second: Link | None = None
    mix: list[Link] = []


class Precision(Enum):
    HALF = "bf16"
    FULL = "fp32"


class Train(Frozen):
    lr: float = 1e-4
    rank: int = 8
    order: Literal["sorted", "random"] = "sorted"
    betas: tuple[float, float] = (0.9, 0.99)
    precision: Precision = Precision.FULL
    captions: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _possible(self) -> Train:
        if self.rank == 13:
            raise UserError("rank 13 is unlucky; choose another")
        return self


class Recipe(Frozen):
    model: Path = Field(description="a diffusers model")
    method: Method = Method()
    train: Train = Train()
    shares: dict[str, float] = {}

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        if self.train.rank == 14:
            raise ValueError("train.rank: 14 does not go with method.link; choose another")
        return self


NUMBER = "should be a valid number, unable to parse string as a number"


def link(**fields: Any) -> dict[str, Any]:
    return {"method": {"link": fields}}


def complaint(tree: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        validate(Recipe, apply_overrides({"model": "m", **tree}, overrides), "recipes/x.yaml")
    message = str(caught.value)
    assert message.startswith("recipes/x.yaml: ")
    assert "\n" not in message
    return message.removeprefix("recipes/x.yaml: ")


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_is_read_and_validated(tmp_path: Path) -> None:
    path = write(tmp_path, "model: m\nmethod:\n  link: {kind: squared, tau: 1e-3}\ntrain: {lr: 5e-4, order: random}\n")
    recipe = validate(Recipe, read_yaml(path), path)
    link = recipe.method.link
    assert isinstance(link, Squared)
    assert (link.tau, recipe.train.lr, recipe.train.order, recipe.train.rank) == (1e-3, 5e-4, "random", 8)


@pytest.mark.parametrize(
    ("tree", "overrides", "message"),
    [
        (
            {"method": {"link": {"kind": "logistic", "betta": 3}}},
            [],
            "method.link.betta: unknown field, did you mean 'beta'?",
        ),
        ({"trian": {"lr": 1}}, [], "trian: unknown field, did you mean 'train'?"),
        ({"zzz": 1}, [], "zzz: unknown field; known: model, method, train, shares"),
        ({}, ["--train.lrr", "1"], "train.lrr: unknown field, did you mean 'lr'?"),
        (
            {"method": {"link": {"kind": "squarred"}}},
            [],
            "method.link.kind: 'squarred' is unknown, did you mean 'squared'?",
        ),
        (link(kind="x"), [], "method.link.kind: 'x' is unknown; known: logistic, squared"),
        (link(beta=1), [], "method.link.kind: missing; one of logistic, squared"),
        (link(kind="squared", beta=1), [], "method.link.beta: unknown field where kind: squared; known: kind, tau"),
        (
            {"method": {"second": {"kind": "logistic", "beta": -1}}},
            [],
            "method.second.beta: -1 should be greater than 0",
        ),
        (
            {"method": {"mix": [{"kind": "squared"}, {"kind": "squared", "tu": 1}]}},
            [],
            "method.mix.1.tu: unknown field, did you mean 'tau'?",
        ),
        ({"train": {"order": "sortd"}}, [], "train.order: 'sortd' is unknown, did you mean 'sorted'?"),
        ({"train": {"precision": "bf61"}}, [], "train.precision: 'bf61' should be 'bf16' or 'fp32'"),
        ({"train": {"lr": "abc"}}, [], f"train.lr: 'abc' {NUMBER}"),
        (
            {"train": {"betas": [0.9, "x"]}},
            [],
            f"train.betas.1: 'x' {NUMBER}",
        ),
        ({"train": 3}, [], "train: 3 should be a section (its fields, one a line)"),
        ({"train": {"rank": 13}}, [], "train: rank 13 is unlucky; choose another"),
        ({"train": {"rank": 14}}, [], "train.rank: 14 does not go with method.link; choose another"),
        ({"shares": {"a": "b"}}, [], f"shares.a: 'b' {NUMBER}"),
        (
            {"train": {"lr": "x", "rank": "y"}, "zzz": 1},
            [],
            f"train.lr: 'x' {NUMBER} (and 2 more)",
        ),
    ],
)
def test_one_line_with_path_value_and_way_out(tree: dict[str, Any], overrides: list[str], message: str) -> None:
    assert complaint(tree, *overrides) == message


def test_a_missing_field_says_what_it_is() -> None:
    with pytest.raises(UserError, match=r"^x: model: missing; give it a value \(Path, a diffusers model\)$"):
        validate(Recipe, {}, "x")


def test_a_long_value_is_cut() -> None:
    assert len(complaint({"train": {"lr": "x" * 5000}})) < 160


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: the key 'a' repeats"),
        ("a: [1\n", ":2: expected ',' or ']'"),
        ("a: \x00", "special characters are not allowed"),
        ("", ": is empty; a mapping"),
        ("# nothing\n", ": is empty; a mapping"),
        ("- a\n", ": holds a list; a mapping"),
        ("just text", ": holds a str; a mapping"),
        ("a: &x [*x]", ":1: aliases that expand without end"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(UserError, match=r"x\.yaml: not text in UTF-8 \(byte 3\)"):
        read_yaml(path)


def test_a_missing_file_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "diffusion_dpo.yaml").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"difusion_dpo\.yaml: no such file, did you mean 'diffusion_dpo\.yaml'\?"):
        read_yaml(tmp_path / "difusion_dpo.yaml")
    with pytest.raises(UserError, match=r"zzz: no such file; known: diffusion_dpo\.yaml$"):
        read_yaml(tmp_path / "zzz")
    with pytest.raises(UserError, match="nor is there a folder"):
        read_yaml(tmp_path / "nowhere" / "x.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)


def test_overrides_in_both_spellings_and_of_every_type() -> None:
    tree = {"train": {"lr": 1, "betas": [0.1, 0.2]}, "model": "m"}
    words = ["--train.lr", "1e-4", "--train.order=random", "--train.betas.1", "0.5", "--method.link", "{kind: squared}"]
    words += ["--train.captions", "[a, 'b: c', 3]", "--shares.a-b", "-1", "--model", "on", "--extra", "~"]
    assert apply_overrides(tree, words) == {
        "train": {"lr": 1e-4, "betas": [0.1, 0.5], "order": "random", "captions": ["a", "b: c", 3]},
        "method": {"link": {"kind": "squared"}},
        "shares": {"a_b": -1},
        "model": "on",
        "extra": None,
    }


def test_overrides_leave_the_given_tree_alone() -> None:
    tree: dict[str, Any] = {"train": {"lr": 1}}
    apply_overrides(tree, ["--train.lr", "2", "--train.rank", "3"])
    assert tree == {"train": {"lr": 1}}


def test_a_later_override_wins_and_an_equals_sign_may_stand_in_the_value() -> None:
    assert apply_overrides({}, ["--a=b=c", "--a", "x=y"]) == {"a": "x=y"}
    assert apply_overrides({}, ["--a="]) == {"a": None}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lr", "1"], "lr: not understood; override a field as --section.field value"),
        (["-x", "1"], "-x: not understood"),
        (["--a..b", "1"], "--a..b: not understood"),
        (["--=3"], "--=3: not understood"),
        (["--train.lr"], "--train.lr: needs a value"),
        (["--train.lr", "--train.rank", "3"], "--train.lr: needs a value"),
        (["--train.lr.x", "1"], "--train.lr.x: 'lr' is the value 1, not a section; set --lr itself"),
        (["--train.betas.7", "1"], "--train.betas.7: '7' is no item of a list of 2 (0 is the first)"),
        (["--train.betas.x", "1"], "--train.betas.x: 'x' is no item"),
        (["--train.betas", "[1, 2"], "--train.betas: '[1, 2' is not YAML:1: expected ',' or ']'"),
    ],
)
def test_bad_overrides(words: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        apply_overrides({"train": {"lr": 1, "betas": [1, 2]}}, words)
    assert str(caught.value).startswith(message)


def test_a_recipe_written_is_the_recipe_read(tmp_path: Path) -> None:
    draw = numbers("recipes")
    for index in range(50):
        beta, tau, lr = (float(10 ** draw.uniform(-12, 9)) for _ in range(3))
        chosen = Squared(tau=-tau) if index % 2 else Logistic(beta=beta)
        captions = [["1e-4", "on", "", "é\n☃", "a: b", "- x", "null"][i] for i in draw.integers(7, size=3)]
        train = Train(lr=lr, captions=captions, precision=Precision.HALF)
        method = Method(link=chosen, mix=[chosen, Squared()])
        recipe = Recipe(model=Path("a b/c"), method=method, train=train, shares={"1": 1})
        path = tmp_path / f"{index}.yaml"
        write_yaml(path, recipe)
        assert validate(Recipe, read_yaml(path), path) == recipe


def test_every_override_that_a_field_help_line_names_is_accepted() -> None:
    names = [line.split()[0] for line in field_help(Recipe).splitlines() if "(" not in line.split()[0]]
    assert "--train.lr" in names
    for name in names:
        with pytest.raises(UserError) as caught:
            validate(Recipe, apply_overrides({}, [name, "{zzz: [1]}"]), "x")
        assert f"{name.removeprefix('--')}: unknown" not in str(caught.value)


def test_field_help_has_name_type_default_and_description() -> None:
    lines = {line.split()[0]: line for line in field_help(Recipe).splitlines()}
    assert lines["--model"].split()[1:] == ["Path", "(required)", "a", "diffusers", "model"]
    assert lines["--train.order"].split()[1:] == ["sorted|random", "(sorted)"]
    assert lines["--train.precision"].split()[1:] == ["bf16|fp32", "(fp32)"]
    assert lines["--method.link"].split()[1:] == ["logistic|squared", "(logistic)"]
    assert lines["--method.link(logistic).beta"].endswith("float  (2000.0)  β per mean squared error")
    assert lines["--method.second"].split()[1:] == ["logistic|squared", "(none)"]
    assert lines["--train"].split()[1:] == ["section"]
    assert "--method.link(logistic).kind" not in lines


def test_closest() -> None:
    assert closest("betta", ["beta", "tau"]) == ", did you mean 'beta'?"
    assert closest("zzz", ["beta", "tau"]) == "; known: beta, tau"
    assert closest("zzz", []) == ""


def test_importing_loads_neither_torch_nor_numpy() -> None:
    script = "import sys, tastemaker.base.config; print([m for m in ('torch', 'numpy', 'pyarrow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"
