"""Parquet files of a data set on the Hugging Face hub, downloaded one by one as they are read."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tastemaker.base.errors import UserError
from tastemaker.data.readers import HUB_NAME
from tastemaker.data.readers.parquet import Shard


def hub_shards(name: str) -> list[Shard]:
    """The Parquet files of the data set ``owner/name`` or ``owner/name@revision``, sorted by name.

    Only the list is fetched here. The revision is pinned to its commit, so that a resumed import reads the same data.
    Raises `UserError` when the data set is not there or the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    match = HUB_NAME.fullmatch(name)
    assert match, name
    try:
        info = HfApi().dataset_info(match["repo"], revision=match["revision"])
    except Exception as error:  # the client raises its own, requests' and the socket's errors
        raise _unreachable(name, error) from None
    files = sorted(file.rfilename for file in info.siblings or [] if file.rfilename.endswith(".parquet"))
    if not files:
        raise UserError(f"{name}: this data set has no Parquet files")
    return [Shard(file, str(info.sha), partial(_download, match["repo"], file, str(info.sha))) for file in files]


def _download(repo: str, file: str, commit: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, file, repo_type="dataset", revision=commit))
    except Exception as error:  # as above
        raise _unreachable(f"{repo}/{file}", error) from None


def _unreachable(name: str, error: Exception) -> UserError:
    text = " ".join(str(error).split())[:160] or type(error).__name__
    return UserError(f"{name}: no such file or folder, and the hub does not give it ({text}); download it yourself")
