"""Weights that timm publishes: fetched from its hub, verified by hash, kept in the hub's cache."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headstart.errors import DataError, Finding, UsageError
from headstart.models.published_file import check_published
from headstart.models.timm_networks import check_timm, configuration

_FILE = "model.safetensors"  # no pickle, whose reading can run code
_TIMEOUT = 10.0  # seconds until the hub has to answer
_SHA256 = re.compile(r"[0-9a-f]{64}")


def hub_repository(network: str) -> str:
    """Return the hub's name of the repository with a timm network's published weights.

    Raises:
        MissingExtraError: timm is not installed.
        UsageError: the network is unknown, or timm publishes no weights of it on the hub.
    """
    check_timm(network)
    repository = configuration(network).hf_hub_id
    if not repository:
        message = f"timm publishes no weights of {network} as safetensors"
        hint = "give a file of weights as --start, or another --model"
        raise UsageError(Finding("not-published", "error", message, hint))
    return str(repository)


def hub_at_hand(network: str) -> bool:
    """Return whether a network's published weights are on this machine; downloads nothing."""
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(hub_repository(network), _FILE), str)
    except UsageError:  # none are published
        return False


def fetch_from_hub(network: str) -> Path:
    """Return the file of a timm network's published weights; download it if need be.

    The hub names its files by their SHA-256, and so does its cache: both are checked.

    Raises:
        MissingExtraError, UsageError: as [`hub_repository`][].
        DataError: the download fails, or the file's hash is wrong.
    """
    from huggingface_hub import try_to_load_from_cache

    repository = hub_repository(network)
    cached = try_to_load_from_cache(repository, _FILE)
    if isinstance(cached, str):
        path, expected = Path(cached), Path(cached).resolve().name
    else:
        path, expected = _download(network, repository)
    hint = f"the file is damaged or incomplete: remove {path.resolve()}, run the command again"
    check_published(path, expected, hint)
    return path


def _download(network: str, repository: str) -> tuple[Path, str]:
    """Return the downloaded file, and its SHA-256 as the hub states it."""
    import huggingface_hub as hub
    from huggingface_hub.errors import HfHubHTTPError

    url = hub.hf_hub_url(repository, _FILE)
    elsewhere = f"download {url} on a connected machine and give the file as --start"

    unreachable: tuple[type[Exception], ...] = HfHubHTTPError.__bases__
    # OSError, and the error of the HTTP library of the hub

    def failed(reason: object) -> DataError:
        words = str(reason).strip().splitlines()
        message = f"the published weights of {network} cannot be downloaded: {words[0]}"
        return DataError(Finding("no-network", "error", message, elsewhere))

    try:
        # without the five repetitions of hf_hub_download, which take 24 seconds
        stated: Any = hub.get_hf_file_metadata(url, timeout=_TIMEOUT)
        if not _SHA256.fullmatch(stated.etag or ""):
            raise failed("the hub does not state its SHA-256")
        path = hub.hf_hub_download(repository, _FILE)
    except HfHubHTTPError as error:
        raise failed(f"the hub answers {error.response.status_code}") from None
    except unreachable as error:
        raise failed(str(error) or type(error).__name__) from None
    return Path(path), str(stated.etag)
