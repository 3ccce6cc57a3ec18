"""What several tests of the evaluation share."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.models import save_tiny_sd


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("models") / "sd")
