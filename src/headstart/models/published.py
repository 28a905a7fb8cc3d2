"""Published weights: downloaded over https, verified by hash, kept on disk.

Those of torchvision are fetched here, those of timm in [`headstart.models.hub_weights`][], unless
an installed package brings them ([`headstart.models.packaged_weights`][]).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError

import torch

from headstart.errors import DataError, Finding, UsageError
from headstart.models.classifiers import check_network
from headstart.models.hub_weights import fetch_from_hub, hub_at_hand
from headstart.models.packaged_weights import check_packaged, packaged_file
from headstart.models.published_file import check_published
from headstart.models.timm_networks import is_timm


@dataclass(frozen=True)
class Published:
    """A published file of weights.

    Attributes:
        url: its address.
        path: its place on this machine, the one that torchvision uses too.
        hash_prefix: the beginning of its SHA-256, taken from its name.
    """

    url: str
    path: Path
    hash_prefix: str


def published(network: str) -> Published:
    """Return the ImageNet weights that torchvision recommends for a network.

    Raises:
        UsageError: the network is unknown, or torchvision publishes no weights of it.
    """
    from torchvision import models

    check_network(network)
    choices = list(models.get_model_weights(network))
    if not choices:
        message = f"torchvision publishes no weights of {network}"
        hint = "give a file of weights as --start, or another --model"
        raise UsageError(Finding("not-published", "error", message, hint))
    url = models.get_model_weights(network).DEFAULT.url
    match = re.search(r"-([0-9a-f]{8,64})\.pth$", url)
    assert match is not None, f"{url} does not state its hash"
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    return Published(url, path, match[1])


def at_hand(network: str) -> bool:
    """Return whether the published weights of a network are on this machine; downloads nothing."""
    if is_timm(network):
        return packaged_file(network) is not None or hub_at_hand(network)
    try:
        return published(network).path.exists()
    except UsageError:  # none are published
        return False


def fetch_published(network: str) -> Path:
    """Return the file of a network's published weights; download it if need be.

    A package's file has names of its own: [`headstart.training.starts.read_published`][] reads all.

    Raises:
        MissingExtraError: the network is timm's, and timm is not installed.
        UsageError: as [`published`][].
        DataError: the download fails, or the file's hash is wrong.
    """
    if (path := packaged_file(network)) is not None:
        check_packaged(network, path)
        return path
    if is_timm(network):
        return fetch_from_hub(network)
    weights = published(network)
    if not weights.path.exists():
        _download(weights, network)
    hint = "the file is damaged or incomplete: remove it and run the command again"
    check_published(weights.path, weights.hash_prefix, hint)
    return weights.path


def _download(weights: Published, network: str) -> None:
    elsewhere = f"download {weights.url} on a connected machine and give the file as --start"
    try:
        weights.path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            weights.url, str(weights.path), weights.hash_prefix, progress=False
        )
    except (URLError, HTTPException, TimeoutError, ConnectionError) as e:
        if isinstance(e, HTTPError):
            e.close()  # the error is the response, and holds the connection
        reason = getattr(e, "reason", e)
        message = f"the published weights of {network} cannot be downloaded: {reason}"
        raise DataError(Finding("no-network", "error", message, elsewhere)) from None
    except RuntimeError as e:  # the hash is wrong
        message = f"the download of {weights.url} is incomplete or altered: {e}"
        hint = f"try again; or {elsewhere}"
        raise DataError(Finding("bad-weights", "error", message, hint)) from None
    except OSError as e:
        message = f"{weights.path} cannot be written: {e.strerror or e}"
        raise DataError(Finding("disk", "error", message, elsewhere)) from None
