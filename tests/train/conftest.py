"""What several tests of the training share."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from support.optimizers import Packing
from tastemaker.train.choice import AdamW


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> AdamW:
    """A choice whose library is `Packing` in a module of bitsandbytes' name."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(__spec__=SimpleNamespace()))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", SimpleNamespace(AdamW8bit=Packing))
    return AdamW(kind="adamw8bit")
