"""Pushing to the hub, with a stand-in for the hub: no test here opens a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import RepoUrl
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)

from tastemaker.base.errors import UserError
from tastemaker.train.hub import push


class Hub:
    """Remembers what it was asked, and raises what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def create_repo(self, repo_id: str, **options: Any) -> RepoUrl:
        self.asked.append(("create", {"repo_id": repo_id, **options}))
        return RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, **options: Any) -> None:
        self.asked.append(("upload", options))
        if self.error is not None:
            raise self.error


def http_error(status: int) -> HfHubHTTPError:
    """As the client makes it, whatever HTTP library it is built on."""
    error = HfHubHTTPError.__new__(HfHubHTTPError)
    Exception.__init__(error, f"{status} Client Error\n\nand more")
    error.response = type("Response", (), {"status_code": status})()  # type: ignore[assignment]
    return error


def connection_error() -> Exception:
    return HfHubHTTPError.__bases__[0]("Name or service not known")


@pytest.mark.parametrize("private", [True, False])
def test_a_repository_is_made_and_the_folder_uploaded_without_locks(tmp_path: Path, private: bool) -> None:
    hub: Any = Hub()
    assert push(tmp_path, "me/tuned", private, hub) == "https://huggingface.co/me/tuned"
    (first, made), (second, uploaded) = hub.asked
    assert (first, second) == ("create", "upload")
    assert made == {"repo_id": "me/tuned", "private": private, "exist_ok": True}
    assert (uploaded["repo_id"], uploaded["folder_path"]) == ("me/tuned", tmp_path)
    assert set(uploaded["ignore_patterns"]) == {".*", "summary.json"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LocalTokenNotFoundError("x"), "no token; log in with `hf auth login` or set HF_TOKEN"),
        (http_error(401), "refused (401); log in with `hf auth login`"),
        (http_error(403), "refused (403); log in with `hf auth login`"),
        (http_error(500), "refused (500 Client Error); the folder is whole"),
        (OfflineModeIsEnabled("x"), "HF_HUB_OFFLINE is set"),
        (connection_error(), "not to be had (Name or service not known); the folder is whole"),
        (OSError("broken pipe"), "not to be had (broken pipe); the folder is whole"),
        (HFValidationError("x"), "no name of a repository; give owner/name"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_goes_wrong_is_one_line(error: Exception, said: str, tmp_path: Path) -> None:
    hub: Any = Hub(error)
    with pytest.raises(UserError) as caught:
        push(tmp_path, "me/tuned", True, hub)
    assert str(caught.value).startswith("--push-to-hub me/tuned: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_none_is_refused_by_the_client_itself(tmp_path: Path) -> None:
    """The real client, which looks at the name before it connects."""
    with pytest.raises(UserError, match="--push-to-hub a/b/c: no name of a repository"):
        push(tmp_path, "a/b/c", True)
