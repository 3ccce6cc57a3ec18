"""Checkpoints: where they are found, their revision by hand, and that nothing in them runs."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import find_file, find_folder, read_tensors, revision


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refusal(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_itself_and_a_folder_is_searched(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"x")
    assert find_file("s", str(tmp_path / "w.pt"), "other.pt") == tmp_path / "w.pt"
    assert find_file("s", str(tmp_path), "w.pt") == tmp_path / "w.pt"
    assert find_folder("s", str(tmp_path), "*.json") == tmp_path
    assert refusal(lambda: find_file("s", str(tmp_path), "v.pt")) == (
        f"s: {tmp_path} has no v.pt; give the file itself or the folder that holds it"
    )


@pytest.mark.parametrize("find", [lambda c: find_file("s", c, "w.pt"), lambda c: find_folder("s", c, "*.pt")])
def test_what_is_nowhere_is_told_in_one_line(find) -> None:
    assert refusal(lambda: find("/no/such/place")) == (
        "s: /no/such/place: no such file or folder; give a path or a hub id (owner/name)"
    )
    message = refusal(lambda: find("owner/name-that-nobody-has@v1"))  # tests run offline
    assert message.startswith("s: owner/name-that-nobody-has@v1: no such file or folder, and the hub does not give it")
    assert message.endswith("download it yourself and give its path")


def test_hub_ids_are_asked_for_with_their_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def fetch(repo: str, *names: str, **options: object) -> str:
        asked.append((repo, *names, options))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert find_file("s", "a/b", "w.pt") == tmp_path
    assert find_folder("s", "a/b@refs/pr/1", "*.json") == tmp_path
    assert asked == [
        ("a/b", "w.pt", {"revision": None}),
        ("a/b", {"revision": "refs/pr/1", "allow_patterns": ["*.json"]}),
    ]


def test_the_hubs_bars_stay_out_of_log_files_and_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    seen = []
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: seen.append(are_progress_bars_disabled()))
    for switch, before in ((enable_progress_bars, False), (disable_progress_bars, True)):
        switch()
        refusal(lambda: find_file("s", "a/b", "w.pt"))  # None is no path, after it was asked
        assert are_progress_bars_disabled() == before
    enable_progress_bars()
    assert seen == [True, True]


def test_revision_of_one_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"weights")
    assert revision(tmp_path / "a.pt") == sha(b"weights")[:12]


def test_revision_of_more_is_that_of_the_list_of_theirs(tmp_path: Path) -> None:
    for name, data in {"a.pt": b"1", "b.json": b"2", "README.md": b"3"}.items():
        (tmp_path / name).write_bytes(data)
    wanted = sha(json.dumps([sha(b"1"), sha(b"2")]).encode())[:12]
    assert revision(tmp_path / "a.pt", tmp_path / "b.json") == wanted
    assert revision(tmp_path) == wanted  # sorted by name, the README is not read
    assert revision(tmp_path / "b.json", tmp_path / "a.pt") != wanted


def test_a_changed_byte_changes_the_revision(tmp_path: Path) -> None:
    for name, data in (("a.pt", b"10"), ("b.pt", b"11")):
        (tmp_path / name).write_bytes(data)
    assert revision(tmp_path / "a.pt") != revision(tmp_path / "b.pt")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_torch_checkpoints_are_read_in_float32(tmp_path: Path, wrap) -> None:
    state = {"w": torch.tensor([0.5, 2.0], dtype=torch.float16), "n": torch.tensor([7])}
    torch.save(wrap(state), tmp_path / "w.pt")
    found = read_tensors("s", tmp_path / "w.pt")
    assert list(found) == ["w", "n"]
    assert found["w"].dtype == torch.float32
    assert found["w"].tolist() == [0.5, 2.0]
    assert found["n"].dtype == torch.int64


def test_safetensors_are_read_in_float32(tmp_path: Path) -> None:
    save_file({"w": torch.tensor([1.5], dtype=torch.bfloat16)}, tmp_path / "w.safetensors")
    found = read_tensors("s", tmp_path / "w.safetensors")
    assert (found["w"].dtype, found["w"].tolist()) == (torch.float32, [1.5])


class Evil:
    """Unpickled, it would make a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(1)}, "evil": Evil(tmp_path / "ran")}, tmp_path / "w.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    for name in ("w.pt", "plain.pt"):
        message = refusal(lambda name=name: read_tensors("s", tmp_path / name))
        assert message.startswith(f"s: {tmp_path / name}: not readable as weights (")
        assert message.endswith("give a state dict, from torch.save or as safetensors")
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_text("<html>404</html>")
    (tmp_path / "w.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    torch.save({"lr": 0.1}, tmp_path / "settings.pt")
    for name, reason in {
        "w.pt": "not readable as weights",
        "w.safetensors": "not readable as weights",
        "list.pt": "holds no state dict",
        "settings.pt": "holds no state dict",
    }.items():
        assert f"s: {tmp_path / name}: {reason}" in refusal(lambda name=name: read_tensors("s", tmp_path / name))
