"""Code for the model card: how to use a run's network without headstart."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from headstart.data.framing import Framing
from headstart.data.pictures.value_range import ValueRange
from headstart.models.classifiers import AS_PUBLISHED, normalisation
from headstart.models.standardise import Standardise
from headstart.models.timm_networks import PREFIX, is_timm

_ONNX = """\
import numpy as np
import onnxruntime
from PIL import Image

classes = {classes}
greys = {greys}
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
{opened}{fit}image = np.asarray(small, np.float32).transpose(2, 0, 1)[None] / 255
(probabilities,) = session.run(["probabilities"], {{"image": image}})
{crop}bilinear = Image.Resampling.BILINEAR  # to the picture's own size
layers = [Image.fromarray(layer).resize(picture.size, bilinear) for layer in probabilities[0]]
probabilities = np.stack([np.asarray(layer) for layer in layers])
mask = probabilities.argmax(0)  # index of each pixel's class in classes
"""

_FIT = {
    "squeeze": """\
small = picture.resize(({width}, {height}), Image.Resampling.BILINEAR)
""",
    "pad": """\
width, height = {width}, {height}
scale = min(height / picture.height, width / picture.width)
inside = [max(1, min(s, round(o * scale))) for s, o in zip((width, height), picture.size)]
small = np.asarray(picture.resize(inside, Image.Resampling.BILINEAR))
small = np.pad(small, [(0, height - inside[1]), (0, width - inside[0]), (0, 0)], "symmetric")
""",
}
_CROP = {
    "squeeze": "",
    "pad": """\
probabilities = np.ascontiguousarray(probabilities[:, :, : inside[1], : inside[0]])
""",
}

_TILES = """\
import numpy as np
import onnxruntime
from PIL import Image

classes = {classes}
greys = {greys}
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
{opened}picture = np.asarray(picture, np.float32) / 255
tile = ({height}, {width})  # the picture keeps its size; tiles overlap, and their edges blend
size = picture.shape[:2]
more = [(0, max(0, t - side)) for t, side in zip(tile, size)]
picture = np.pad(picture, [*more, (0, 0)], mode="symmetric")
starts, weights = [], []
for t, side in zip(tile, size):
    steps = -(-max(0, side - t) // (t - t // 4))
    starts.append([round(i * (side - t) / steps) for i in range(steps + 1)] if steps else [0])
    weights.append(np.sin(np.pi * (np.arange(t) + 0.5) / t) ** 2)
blend = np.outer(*weights)
probabilities = np.zeros((len(classes), *picture.shape[:2]))
for y in starts[0]:
    for x in starts[1]:
        at = slice(y, y + tile[0]), slice(x, x + tile[1])
        image = picture[at].transpose(2, 0, 1)[None]
        (answer,) = session.run(["probabilities"], {{"image": image}})
        probabilities[:, *at] += blend * answer[0]
probabilities = probabilities[:, : size[0], : size[1]]  # not divided by the sum of the weights
mask = probabilities.argmax(0)  # index of each pixel's class in classes
"""

_OPENED = """\
picture = Image.open("picture.png").convert("RGB")
"""

_DEEP_OPENED = """\
picture = Image.open("picture.png")
if picture.mode[0] == "I":  # grey of more than 8 bits, without an orientation
    values = np.asarray(picture).astype(np.float64)
    low, high = {limits}  # become black and white
    shown = np.clip((values - low) / max(high - low, 1), 0, 1)
    picture = Image.fromarray(np.rint(255 * shown).astype(np.uint8))
picture = picture.convert("RGB")
"""

_SMALL = """\
share = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
share[0] = 1  # the background is never too small
mask = np.where((share < {min_area})[:, None, None], -1, probabilities).argmax(0)
"""

_SAVED = """\
Image.fromarray(np.array(greys, np.uint8)[mask]).save("mask.png")
"""

_CLASSIFIER = """\
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
{library}

classes = {classes}
weights = load_file("weights.safetensors")
network = {network}
{head}network.load_state_dict({weights})
network.eval()
picture = Image.open("picture.png").convert("RGB")
picture = picture.resize(({width}, {height}), Image.Resampling.BILINEAR)
image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
mean, std = torch.tensor({mean}), torch.tensor({std})
with torch.no_grad():
    logits = network((image - mean[:, None, None]) / std[:, None, None])
probabilities = logits.softmax(1)[0].tolist()
print(dict(zip(classes, probabilities)))
"""

_HEAD = """\
network.{part} = torch.nn.Sequential(
    torch.nn.AdaptiveAvgPool2d(1),
    torch.nn.Flatten(),
    torch.nn.BatchNorm1d({channels}, eps=0, affine=False),  # (features - mean) / std
    torch.nn.Linear({channels}, {count}),
)
weights["{name}.running_mean"] = weights.pop("{name}.mean")
weights["{name}.running_var"] = weights.pop("{name}.std") ** 2
weights["{name}.num_batches_tracked"] = torch.tensor(0)
"""


_VERSIONS = """\
own = network.state_dict()  # MNASNet loads only a state dict with version metadata
own.update(weights)
"""


def onnx_code(
    size: tuple[int, int],
    framing: Framing,
    names: Sequence[str],
    greys: Sequence[int],
    min_area: float,
    value_range: ValueRange | None = None,
) -> str:
    """Return Python code that segments ``picture.png`` with ``model.onnx``.

    The code computes the same mask as headstart.

    Args:
        size: height and width of the network's input.
        framing: how pictures become pictures of that size.
        names: names of the classes.
        greys: grey level of each class in the mask.
        min_area: see [`class_maps`][headstart.inference.class_maps.class_maps].
        value_range: of pictures of more than 8 bits; None: there are none.
    """
    height, width = size
    about = {"classes": _list(names), "greys": list(greys), "height": height, "width": width}
    about["opened"] = _OPENED
    if value_range is not None:
        limits = f"{value_range[0]}, {value_range[1]}"
        if value_range == "percentile":
            limits = 'np.percentile(values, (0.5, 99.5), method="inverted_cdf")'
        about["opened"] = _DEEP_OPENED.format(limits=limits)
    if framing == "tile":
        code = _TILES.format(**about)
    else:
        code = _ONNX.format(**about, fit=_FIT[framing].format(**about), crop=_CROP[framing])
    return code + (_SMALL.format(min_area=min_area) if min_area else "") + _SAVED


def classifier_code(
    model: str, network: nn.Module, size: tuple[int, int], names: Sequence[str]
) -> str:
    """Return Python code that classifies ``picture.png`` with ``weights.safetensors``.

    Args:
        model: the name of the network.
        network: the network with its trained head.
        size: height and width of the network's input.
        names: names of the classes.
    """
    settings = {**AS_PUBLISHED.get(model, {})}
    if settings:
        settings["init_weights"] = False  # the file has the weights
    head = ""
    for name, module in network.named_modules():
        if isinstance(module, Standardise):
            part, channels = name.rpartition(".")[0], len(module.mean)
            head = _HEAD.format(part=part, name=name, channels=channels, count=len(names))
    mean, std = normalisation(model)
    if is_timm(model):
        library, made = "import timm", f'timm.create_model("{model.removeprefix(PREFIX)}"'
    else:
        library, made = "from torchvision import models", f'models.get_model("{model}"'
        settings = {"weights": None, **settings}
    settings["num_classes"] = len(names)
    options = "".join(f", {key}={value}" for key, value in settings.items())
    return _CLASSIFIER.format(
        classes=_list(names),
        library=library,
        network=f"{made}{options})",
        head=head + (_VERSIONS if model.startswith("mnasnet") else ""),
        weights="own" if model.startswith("mnasnet") else "weights",
        height=size[0],
        width=size[1],
        mean=list(mean),
        std=list(std),
    )


def _list(names: Sequence[str]) -> str:
    r"""Return a Python list literal; a backtick is escaped, as it could end a Markdown code block.

    >>> _list(["a`b"])
    "['a\\x60b']"
    """
    return ascii(list(names)).replace("`", "\\x60")
