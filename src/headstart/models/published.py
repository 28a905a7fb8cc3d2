"""Weights that torchvision publishes: fetched over https, checked by hash, kept."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError

import torch

from headstart.errors import DataError, Finding, UsageError
from headstart.models.classifiers import check_network


@dataclass(frozen=True)
class Published:
    """One file of weights.

    Attributes:
        url: where it is.
        path: where it is kept, as torchvision itself keeps it.
        hash_prefix: the beginning of its SHA-256, which its name states.
    """

    url: str
    path: Path
    hash_prefix: str


def published(network: str) -> Published:
    """The weights of a network trained on ImageNet, those that torchvision recommends.

    Raises:
        UsageError: there is no such network, or none are published.
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


def fetch_published(network: str) -> Path:
    """The file of a network's published weights; downloaded if it is not there.

    Raises:
        UsageError: as [`published`][].
        DataError: it cannot be downloaded, or is not what was published.
    """
    its = published(network)
    if not its.path.exists():
        _download(its, network)
    with its.path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(its.hash_prefix):
        message = (
            f"{its.path} is not what was published: its SHA-256 begins with {found[:8]}, expected "
            f"{its.hash_prefix}"
        )
        hint = "it is damaged, or its download was cut short: remove it, and it is fetched anew"
        raise DataError(Finding("bad-weights", "error", message, hint))
    return its.path


def _download(its: Published, network: str) -> None:
    elsewhere = f"where there is a network, fetch {its.url} and give the file as --start"
    try:
        its.path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(its.url, str(its.path), its.hash_prefix, progress=False)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as e:
        if isinstance(e, HTTPError):
            e.close()  # it is the answer, too, and holds the connection
        reason = getattr(e, "reason", e)
        message = f"the published weights of {network} cannot be downloaded: {reason}"
        raise DataError(Finding("no-network", "error", message, elsewhere)) from None
    except RuntimeError as e:  # its hash is another
        message = f"the download of {its.url} was cut short or changed on its way: {e}"
        hint = f"try again; or {elsewhere}"
        raise DataError(Finding("bad-weights", "error", message, hint)) from None
    except OSError as e:
        message = f"{its.path} cannot be written: {e.strerror or e}"
        raise DataError(Finding("disk", "error", message, elsewhere)) from None
