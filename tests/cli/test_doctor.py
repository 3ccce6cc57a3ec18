"""The doctor: each check says ok, warn or FAIL, and a way out when it is not ok."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tastemaker.cli import doctor


def versions(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    """Pretend that packages have other versions; None is not installed."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        found = changed.get(name, real(name) if name not in changed else None)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)


def broken_import(monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception | None) -> None:
    real = importlib.import_module

    def load(name: str) -> ModuleType:
        if name != broken:
            return real(name)
        if error is not None:
            raise error
        return ModuleType(name)

    monkeypatch.setattr(importlib, "import_module", load)


def test_here_nothing_fails_and_every_line_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert 8 <= len(lines) <= 24
    assert all(line.startswith(("ok  ", "warn", "FAIL")) for line in lines)


def test_whatever_is_not_ok_has_a_way_out() -> None:
    assert [finding for finding in doctor.examine() if finding.level != "ok" and not finding.way_out] == []


def test_a_failed_check_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("FAIL", "thing", "is bad", "do this")])
    assert doctor.run() == 1
    assert capsys.readouterr().out == "FAIL  thing         is bad → do this\n"


def test_torchvision_is_not_installed_here() -> None:
    """Nothing may pull it in: it breaks diffusers and transformers on builds of torch that it does not fit."""
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("torchvision")
    assert doctor.torchvision().level == "ok"


def test_a_broken_torchvision_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, torchvision="0.20.0")
    broken_import(monkeypatch, "torchvision", RuntimeError("operator torchvision::nms does not exist\nmore"))
    finding = doctor.torchvision()
    assert finding.level == "FAIL"
    assert "0.20.0" in finding.found
    assert "(operator torchvision::nms does not exist)" in finding.found
    assert "diffusers and transformers" in finding.found
    assert "pip uninstall torchvision" in finding.way_out


def test_a_needless_torchvision_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, torchvision="0.28.0")
    broken_import(monkeypatch, "torchvision", None)
    assert doctor.torchvision().level == "warn"


def test_missing_and_old_packages_fail_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, peft=None, diffusers="0.1.0")
    failed = {finding.what: finding.found for finding in doctor.packages() if finding.level == "FAIL"}
    assert failed.keys() == {"peft", "diffusers"}
    assert failed["peft"].startswith("missing, needs >=")
    assert failed["diffusers"].startswith("0.1.0, needs >=")


def test_development_requirements_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, ruff=None, mypy=None)
    assert [finding.level for finding in doctor.packages()] == ["ok"]


def test_a_torch_that_does_not_load_fails_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    broken_import(monkeypatch, "torch", OSError("libtorch.so: cannot open shared object file"))
    findings = list(doctor.examine())
    assert [finding.what for finding in findings if finding.level == "FAIL"] == ["torch"]
    assert findings[-1].what == "browser"


@pytest.mark.parametrize(("gib", "level"), [(0.5, "FAIL"), (5, "warn"), (50, "ok")])
def test_free_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gib: float, level: str) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=int(gib * 2**30)))
    assert doctor.disk("disk", tmp_path / "not" / "yet" / "there").level == level


def test_a_folder_that_cannot_be_written_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert doctor.writable("model cache", tmp_path / "new").level == "ok"

    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    finding = doctor.writable("model cache", tmp_path)
    assert (finding.level, finding.way_out) == ("FAIL", "set HF_HOME to another folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("threads", "level"), [(1, "warn"), (4, "ok"), (9, "warn")])
def test_threads(monkeypatch: pytest.MonkeyPatch, threads: int, level: str) -> None:
    import torch

    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: range(4), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert doctor.processor().level == level


def test_cuda_devices_are_listed_with_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    card = SimpleNamespace(name="NVIDIA H200", total_memory=141 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    found = doctor.accelerator()
    assert found == doctor.Finding("ok", "accelerator", "NVIDIA H200 141 GiB, NVIDIA H200 141 GiB, bfloat16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert doctor.accelerator().level == "warn"


def test_a_missing_browser_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    assert doctor.browser().level == "warn"
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/bin/{name}")
    assert doctor.browser().found == "/bin/chromium"


def test_importing_the_doctor_loads_no_torch() -> None:
    assert "torch" not in vars(doctor)
    assert sys.modules["tastemaker.cli.doctor"] is doctor
