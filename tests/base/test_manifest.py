"""A folder that lists its own files says what is missing, changed or not listed."""

from pathlib import Path

import pytest

from tastemaker.base import files, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    manifest.write(tmp_path)
    return tmp_path


def test_a_whole_folder_has_no_damage(folder: Path) -> None:
    assert files.read_json(folder / manifest.NAME) == {name: files.sha256_file(folder / name) for name in ("a", "b")}
    assert manifest.damage(folder, ("a",)) is None


def test_the_first_damage_is_named(folder: Path) -> None:
    (folder / "b").write_text("c")
    assert manifest.damage(folder, ("a",)) == "b has changed"
    assert manifest.damage(folder, ("a",), only=True) is None
    assert manifest.damage(folder, ("a", "c")) == "manifest.json lists no c"
    (folder / "b").unlink()
    assert manifest.damage(folder, ("b",), only=True) == "b is missing"


@pytest.mark.parametrize(
    ("content", "message"), [("{", "manifest.json is missing or unreadable"), ("[]", "manifest.json lists no a")]
)
def test_a_broken_list_is_damage(folder: Path, content: str, message: str) -> None:
    (folder / manifest.NAME).write_text(content)
    assert manifest.damage(folder, ("a",)) == message
    (folder / manifest.NAME).unlink()
    assert manifest.damage(folder, ("a",)) == "manifest.json is missing or unreadable"
