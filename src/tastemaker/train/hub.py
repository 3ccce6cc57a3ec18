"""A folder to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HIDDEN = [".*", "summary.json"]
"""Left behind: locks, and a summary that speaks of this machine."""
AGAIN = "the folder is whole, so the same command pushes it again"


def push(folder: Path, repo: str, private: bool, api: HfApi | None = None) -> str:
    """Upload ``folder`` to the model repository ``repo`` (owner/name), which is made when missing; returns its address.

    ``private`` counts for a new one. Raises `UserError` without a token or a connection, and when the hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = api or HfApi()
    try:
        made = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, ignore_patterns=HIDDEN)
    except HFValidationError:
        raise UserError(f"--push-to-hub {repo}: no name of a repository; give owner/name") from None
    except OfflineModeIsEnabled:
        raise UserError(f"--push-to-hub {repo}: HF_HUB_OFFLINE is set; unset it, {AGAIN}") from None
    except LocalTokenNotFoundError:
        raise UserError(f"--push-to-hub {repo}: no token; log in with `hf auth login` or set HF_TOKEN") from None
    except _client_errors() as error:
        raise UserError(f"--push-to-hub {repo}: {_reason(error)}; {AGAIN}") from error
    return str(made)


def _client_errors() -> tuple[type[Exception], ...]:
    """What the hub's client raises: OSError, and errors of whichever HTTP library its version is built on."""
    from huggingface_hub.errors import HfHubHTTPError

    return OSError, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"refused ({status}); log in with `hf auth login` as someone who may write there"
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"not to be had ({said})" if status is None else f"refused ({said})"
