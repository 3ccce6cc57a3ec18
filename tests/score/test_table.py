"""Specs: what they mean, and one line for each mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tastemaker.base.errors import UserError
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.table import SCORERS, build, parse


@pytest.mark.parametrize(
    ("spec", "meaning"),
    [
        ("jpeg-size", ("jpeg-size", {})),
        (" jpeg-size ", ("jpeg-size", {})),
        ("x:a=1,b=two", ("x", {"a": "1", "b": "two"})),
        ("x: a = 1 , b=/some/path=odd", ("x", {"a": "1", "b": "/some/path=odd"})),
    ],
)
def test_parse(spec: str, meaning: tuple) -> None:
    assert parse(spec) == meaning


@pytest.mark.parametrize("spec", ["x:", "x:a", "x:a=", "x:=1", "x:a=1,", "x:a=1,,b=2", "x:a=1,a=2"])
def test_parse_refuses(spec: str) -> None:
    with pytest.raises(UserError, match="scorer 'x:"):
        parse(spec)


def test_options_arrive_with_their_types() -> None:
    assert build("jpeg-size") == JpegSize(quality=95, prefer="large")
    assert build("jpeg-size:quality=80,prefer=small") == JpegSize(quality=80, prefer="small")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("jpeg-sizes", "scorer 'jpeg-sizes' is unknown, did you mean 'jpeg-size'?"),
        ("zzz", "scorer 'zzz' is unknown; known: aesthetic"),
        ("jpeg-size:qualty=80", "scorer 'jpeg-size': option 'qualty' is unknown, did you mean 'quality'?"),
        ("jpeg-size:quality=high", "scorer 'jpeg-size': quality=high: Input should be a valid integer"),
        ("jpeg-size:prefer=big", "scorer 'jpeg-size': prefer=big: Input should be 'large' or 'small'"),
        ("jpeg-size:quality=0", "jpeg-size: quality=0: JPEG quality goes from 1 to 100"),
    ],
)
def test_each_mistake_is_one_line_with_the_way_out(spec: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        build(spec)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_another_table() -> None:
    assert build("size:quality=70", {"size": SCORERS["jpeg-size"]}).id == "jpeg-size@q70"


def test_a_name_that_looks_like_code_is_not_imported() -> None:
    with pytest.raises(UserError, match="is unknown"):
        build("os.path:join=1")


def test_the_table_is_light() -> None:
    """Help reads it: no torch, no numpy, no pyarrow."""
    heavy = "('torch', 'numpy', 'pyarrow', 'PIL')"
    code = f"import sys, tastemaker.score.table; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
