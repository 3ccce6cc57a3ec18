"""What the source of feedback `study` needs, and settings that have no meaning."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tastemaker.rollout import asking
from tastemaker.rollout.asking import Asked
from tastemaker.rollout.feedback import Feedback


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package is missing, and where only the database wants it."""
    assert Asked().missing() == []
    gone = {"sqlalchemy"}
    monkeypatch.setattr(asking, "find_spec", lambda name: None if name in gone else find_spec(name))
    assert Asked().missing() == [
        "feedback.kind: study needs sqlalchemy, which is not installed; get it with: pip install 'tastemaker[study]'"
    ]
    gone.symmetric_difference_update({"sqlalchemy", "psycopg"})
    assert Asked().missing() == []
    monkeypatch.setenv(asking.DATABASE, "postgresql://somewhere")
    (line,) = Asked().missing()
    assert line.endswith("get it with: pip install 'tastemaker[postgresql]'")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"task": "vote"}, "'pair', 'best', 'rank' or 'flag'"),
        ({"task": "flag"}, "flags: .. with tasks of kind flag; name at least one"),
        ({"flags": ["hands"]}, "flags: .'hands'. with tasks of kind pair; leave them out"),
        ({"task": "flag", "flags": ["hands", "hands"]}, "give each name once"),
        ({"raters": 0}, "greater than or equal to 1"),
        ({"poll_seconds": 0}, "greater than 0"),
        ({"poll_seconds": 61}, "less than or equal to 60"),
        ({"title": ""}, "at least 1 character"),
        ({"repeats": 0.6}, "less than or equal to 0.5"),
        ({"rules": {"gold_missed": 0.2}}, "rules.gold_missed: no answer .* is known beforehand"),
        ({"rules": {"self_disagreement": 0.2}}, "rules.self_disagreement: nothing is asked twice; set repeats"),
        ({"rules": {"one_sied": 0.2}}, "Extra inputs"),
        ({"questions": ["appeal"]}, "Extra inputs"),
    ],
)
def test_settings_without_meaning_are_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        TypeAdapter(Feedback).validate_python({"kind": "study"} | given)
