"""The YAML dialect: YAML 1.2 core's scalars, unique text keys, bounded size, no code."""

from __future__ import annotations

import math
import string
from typing import Any

import pytest
import yaml

from tastemaker.base import yaml12
from tastemaker.base.draw import numbers

# Texts and values by chapter 10.3.2 of the YAML 1.2.2 specification.
SCALARS: list[tuple[str, Any]] = [
    ("1e-4", 1e-4),
    ("1E4", 1e4),
    ("-3.5e+2", -350.0),
    ("1.", 1.0),
    (".5", 0.5),
    ("+3", 3),
    ("010", 10),
    ("08", 8),
    ("0o17", 15),
    ("0x1F", 31),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("true", True),
    ("False", False),
    ("~", None),
    ("null", None),
    ("", None),
    *(
        (text, text)
        for text in (
            "on",
            "off",
            "yes",
            "No",
            "y",
            "12:30",
            "1_000",
            "2024-01-01",
            "<<",
            "=",
            "1e",
            "e5",
            ".",
            "-",
            "0b1",
            "nullx",
        )
    ),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars(text: str, value: Any) -> None:
    for found in (yaml12.load_scalar(text), yaml12.load(f"a: {text}")["a"] if text != "-" else value):
        assert found == value
        assert type(found) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(yaml12.load_scalar(".nan"))


@pytest.mark.parametrize(
    "text", ["a: 1", "[1", "# no comment", "- 1", "*x", "&x 1", "!!int 1", "@", "%", "1 # one", "9" * 5000, "\x00"]
)
def test_load_scalar_never_fails(text: str) -> None:
    assert yaml12.load_scalar(text) == text


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' repeats"),
        ("a:\n  b: {c: 1, c: 2}", 2, "the key 'c' repeats"),
        ("a: 1\n2: b", 2, "the key 2 is not text"),
        ("true: b", 1, "the key True is not text"),
        ("? [1]\n: b", 1, "is not text"),
        ("a: &x [1, *x]", 1, "expand without end"),
        ("a: b: c", 1, "mapping values are not allowed"),
        ("a:\n\t- b", 2, "cannot start any token"),
        ("a: *nowhere", 1, "undefined alias"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: !!python/object/apply:os.system [ls]", 1, "could not determine a constructor"),
    ],
)
def test_what_is_refused_names_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        yaml12.load(text)
    assert problem in f"{caught.value.problem} {caught.value.context}"
    assert caught.value.problem_mark
    assert caught.value.problem_mark.line + 1 == line


def test_a_billion_laughs_is_refused_at_once() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(yaml.YAMLError, match="expand without end"):
        yaml12.load("\n".join(rows))


def test_honest_aliases_are_allowed() -> None:
    assert yaml12.load("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize("text", ["[" * 41 + "]" * 41, "[" * 100_000, "{a: " * 50 + "1" + "}" * 50])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="nested deeper than 40"):
        yaml12.load(text)


def test_a_huge_text_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="longer than"):
        yaml12.load("a" * (yaml12.LARGEST + 1))


@pytest.mark.parametrize("text", ["a: !!int abc", "a: !!float x", "a: " + "9" * 5000, "a: \x00", "!!timestamp x"])
def test_odd_input_is_a_yaml_error_and_nothing_else(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        yaml12.load(text)


def random_value(draw: Any, depth: int = 0) -> Any:
    """Plain data, with texts that look like numbers, truth values and YAML's own signs."""
    kind = draw.integers(9 if depth < 4 else 7)
    if kind == 0:
        return None
    if kind == 1:
        return bool(draw.integers(2))
    if kind == 2:
        return int(draw.integers(-(2**40), 2**40))
    if kind == 3:
        return float(draw.standard_normal() * 10.0 ** draw.integers(-30, 30))
    if kind == 4:
        return str(draw.choice([text for text, _ in SCALARS]))
    if kind in (5, 6):
        letters = string.printable[:-2] + "é☃\U0001f600\x85\u2028"
        return "".join(letters[draw.integers(len(letters))] for _ in range(draw.integers(12)))
    if kind == 7:
        return [random_value(draw, depth + 1) for _ in range(draw.integers(4))]
    return {f"{random_value(draw, 9)}": random_value(draw, depth + 1) for _ in range(draw.integers(4))}


def test_whatever_is_dumped_is_loaded_again() -> None:
    draw = numbers("yaml round trip")
    for _ in range(500):
        value = random_value(draw)
        again = yaml12.load(yaml12.dump(value))
        assert again == value, value
        assert repr(again) == repr(value)


def test_random_bytes_never_raise_anything_but_a_yaml_error() -> None:
    draw = numbers("yaml fuzz")
    signs = "ab: -[]{}&*!|>'\"%@`#,?\n\t\\01.e~x"
    for _ in range(2000):
        text = "".join(signs[draw.integers(len(signs))] for _ in range(draw.integers(1, 40)))
        try:
            yaml12.load(text)
        except yaml.YAMLError:
            continue


def test_shared_values_are_written_in_full() -> None:
    shared = [1]
    assert yaml12.dump({"a": shared, "b": shared}) == "a:\n- 1\nb:\n- 1\n"
