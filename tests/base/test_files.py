"""Durable files: complete or absent, whatever happens to the writer."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tastemaker.base import files
from tastemaker.base.errors import UserError


def test_hashes_by_hand() -> None:
    """SHA-256 of "abc" is in FIPS 180-2."""
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256_bytes(b"abc") == files.sha256_text("abc") == abc


def test_a_prompt_is_hashed_as_utf8_even_with_a_lone_surrogate() -> None:
    assert files.sha256_text("é") == hashlib.sha256(b"\xc3\xa9").hexdigest()
    assert files.sha256_text("\ud800") != files.sha256_text("?")


def test_sha256_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert files.sha256_file(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_atomic_file_replaces_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.txt"
    files.write_text(path, "old")
    with files.atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    files.write_text(path, "old")

    def write_half() -> None:
        with files.atomic_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    files.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"x\.txt: cannot be written \(No space left on device\); free some space"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with files.atomic_folder(path) as temporary:
        (temporary / "a").mkdir()
        (temporary / "a" / "b").write_text("b")
        assert not path.exists()
    assert (path / "a" / "b").read_text() == "b"

    def write_half() -> None:
        with files.atomic_folder(tmp_path / "other") as temporary:
            (temporary / "b").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_only_a_temporary_that_is_cleared(tmp_path: Path) -> None:
    script = (
        "import os, signal; from pathlib import Path; from tastemaker.base.files import atomic_file\n"
        f"with atomic_file(Path({str(tmp_path / 'x.txt')!r})) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    assert not (tmp_path / "x.txt").exists()
    (tmp_path / f"{files.TEMPORARY}folder").mkdir()
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "kept").touch()
    files.clear_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


def test_json_round_trip_and_refusals(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    value = {"é": [1, 0.1, None, True], "b": {"c": "\n"}}
    files.write_json(path, value)
    assert files.read_json(path) == value
    assert path.read_text().endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, float("nan"))
    assert files.read_json(path) == value


def test_missing_and_damaged_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.json: no such file"):
        files.read_json(tmp_path / "x.json")
    for damaged in (b'{"a": \xff', b"{", b"[" * 100_000, b"1" * 5000):
        (tmp_path / "x.json").write_bytes(damaged)
        with pytest.raises(UserError, match=r"x\.json: not readable as JSON"):
            files.read_json(tmp_path / "x.json")


def test_a_locked_folder_refuses_a_second_process_until_the_first_ends(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from tastemaker.base.files import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print('in', flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout
    assert other.stdout.readline() == "in\n"
    with pytest.raises(UserError, match="another process is working here"), files.locked(tmp_path):
        pass
    other.kill()
    other.communicate()
    with files.locked(tmp_path):
        pass
