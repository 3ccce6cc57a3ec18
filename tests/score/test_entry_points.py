"""Scorers of other packages: a real distribution in a folder on the path, and one line for each mistake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.score.entry_points import check, installed, load
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.table import SCORERS, build

MODULE = '''
"""A reward model of another package."""
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Width:
    scale: float = 1.0
    calibration = "standardise"
    uses_prompt = False

    @property
    def id(self):
        return f"width@{self.scale:g}"

    def score(self, prompts, images):
        return np.array([self.scale * image.width for image in images], np.float32)

class Inner:
    Width = Width

NOTHING = 3
'''
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with these entry points, as pip lays it out; it ends with the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def package(*lines: str, name: str = "wide", module: str = MODULE) -> None:
        (tmp_path / f"{name}_rewards.py").write_text(module)
        info = tmp_path / f"{name}_rewards-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-rewards\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[tastemaker.scorers]", *lines, ""]))
        monkeypatch.delitem(sys.modules, f"{name}_rewards", raising=False)

    return package


def test_a_scorer_of_another_package_scores(install: Install) -> None:
    """Listed without an import, built with its options' types by the table, and it scores: 2.5 · 8 pixels = 20."""
    install("width = wide_rewards:Width", "inner = wide_rewards:Inner.Width [gpu]")
    found = installed(SCORERS)
    assert found == {"width": "wide_rewards:Width", "inner": "wide_rewards:Inner.Width"}
    assert "wide_rewards" not in sys.modules
    scorer = check("width", build("width:scale=2.5", found))
    assert scorer.id == "width@2.5"
    assert scorer.score([""], [Image.new("RGB", (8, 4))]).tolist() == [20.0]
    assert load("inner", found["inner"]) is type(scorer)


def test_nothing_is_installed_here() -> None:
    assert installed(SCORERS) == {}


def test_our_own_pass_the_check() -> None:
    assert check("jpeg-size", JpegSize()) == JpegSize()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("jpeg-size = wide_rewards:Width", "its scorer 'jpeg-size' has the name of one of Tastemaker's own; rename"),
        ("a b = wide_rewards:Width", "its scorer 'a b': a name has letters, digits and . _ - alone"),
        ("a:b = wide_rewards:Width", "its scorer 'a:b': a name has letters"),
        ("width = wide_rewards", "its scorer 'width': 'wide_rewards' is no module:Class; correct or uninstall it"),
        ("width = wide rewards:Width", "its scorer 'width': 'wide rewards:Width' is no module:Class"),
    ],
)
def test_refuses_a_bad_entry_point(install: Install, line: str, message: str) -> None:
    install(line)
    with pytest.raises(UserError) as caught:
        installed(SCORERS)
    assert str(caught.value).startswith(f"package wide-rewards: {message}")
    assert "\n" not in str(caught.value)


def test_refuses_one_name_of_two_packages(install: Install) -> None:
    install("width = wide_rewards:Width")
    install("width = narrow_rewards:Width", name="narrow")
    with pytest.raises(UserError, match="package wide-rewards: its scorer 'width' is also one of narrow-rewards"):
        installed()


@pytest.mark.parametrize(
    ("target", "module", "message"),
    [
        ("wide_rewards:Width", "import no_such_module", "cannot be imported (ModuleNotFoundError: No module named"),
        ("wide_rewards:Width", "raise OSError('no\\nlibrary')", "cannot be imported (OSError: no library)"),
        ("wide_rewards:Wide", MODULE, "cannot be imported (AttributeError: module 'wide_rewards' has no attribute"),
        ("wide_rewards:NOTHING", MODULE, "is no class; let the entry point name one"),
    ],
)
def test_refuses_what_cannot_be_imported(install: Install, target: str, module: str, message: str) -> None:
    install(f"width = {target}", module=module)
    assert installed() == {"width": target}
    with pytest.raises(UserError) as caught:
        load("width", target)
    assert str(caught.value).startswith(f"scorer 'width': {target} {message}")
    assert "\n" not in str(caught.value)


class Whole:
    """A scorer with everything."""

    id = "width@1"
    calibration = "identity"
    uses_prompt = True

    def score(self, prompts: object, images: object) -> None: ...


@pytest.mark.parametrize("attribute", ["id", "calibration", "uses_prompt", "score"])
def test_names_what_a_class_lacks(attribute: str) -> None:
    kept = {key: value for key, value in vars(Whole).items() if key != attribute and not key.startswith("__")}
    with pytest.raises(UserError, match=rf"scorer 'width': \S+\.Part has no {attribute}; a scorer has id, calibration"):
        check("width", type("Part", (), kept)())
    assert check("width", type("All", (), dict(vars(Whole)))()).id == "width@1"


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("id", 1, r"\.id is 1; it must be a str"),
        ("id", "jpeg-size@1", r"\.id is 'jpeg-size@1'; it must be width@ and a revision, such as width@1"),
        ("id", "width@", r"\.id is 'width@'; it must be width@ and a revision"),
        ("uses_prompt", "yes", r"\.uses_prompt is 'yes'; it must be a bool"),
        ("score", 3, r"\.score is no method"),
        ("transform", None, r"has no score_pixels"),
        ("trunk", None, r"has no head"),
    ],
)
def test_names_what_a_class_has_wrong(attribute: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=rf"scorer 'width': .*{message}"):
        check("width", type("Part", (Whole,), {attribute: value})())


def test_is_light() -> None:
    """The table reads it on the way to help."""
    heavy = "('torch', 'numpy', 'pyarrow', 'PIL')"
    head = "import sys, tastemaker.score.entry_points as points; points.installed()"
    code = f"{head}; print([x for x in {heavy} if x in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
