"""Help is quick: it loads no heavy library and only its own verb, and explains every argument."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tastemaker.cli import app

HEAVY = ("torch", "transformers", "diffusers", "peft", "pyarrow", "matplotlib", "scipy")
PROBE = """
import json, resource, sys
from tastemaker.cli.app import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"code": code, "cpu": used.ru_utime + used.ru_stime, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def help_cost(*arguments: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, timeout=60)
    return json.loads(done.stderr.strip().splitlines()[-1]), done.stdout


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in app.VERBS)], ids=" ".join)
def test_help_loads_nothing_heavy_and_takes_under_a_second_of_cpu(arguments: list[str]) -> None:
    cost, text = help_cost(*arguments)
    assert cost["code"] == 0
    assert "usage: tastemaker" in text
    assert [name for name in HEAVY if name in cost["modules"]] == []
    assert cost["cpu"] < 1.0


def test_help_of_the_worlds_verbs_loads_nothing_heavy() -> None:
    from tastemaker.cli.world import SUBVERBS

    _, overview = help_cost("world")
    for name in SUBVERBS:
        assert f"\n  {name} " in overview
        cost, text = help_cost("world", name, "--help")
        assert cost["code"] == 0, name
        assert f"usage: tastemaker world {name}" in text
        assert [heavy for heavy in HEAVY if heavy in cost["modules"]] == [], name
        assert cost["cpu"] < 1.0, name


def test_help_loads_only_its_own_verb() -> None:
    cost, _ = help_cost("doctor", "--help")
    verbs = {verb.module for verb in app.VERBS.values()}
    assert verbs & set(cost["modules"]) == {"tastemaker.cli.doctor"}


def test_every_argument_of_every_verb_is_explained() -> None:
    """A parameter without a line in "Args:" shows up in help without a description."""
    for name, verb in app.VERBS.items():
        module = __import__(verb.module, fromlist=["run"])
        for run in getattr(module, "SUBVERBS", {name: getattr(module, "run", None)}).values():
            _, _, explained = (run.__doc__ or "").partition("Args:")
            names = [key for key in run.__annotations__ if key not in ("return", app.OVERRIDES)]
            missing = [key for key in names if not re.search(rf"^\s+{key}:", explained, re.MULTILINE)]
            assert missing == [], f"{verb.module}.{run.__name__}"
