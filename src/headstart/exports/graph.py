"""Making the bytes of an ONNX file from a network, with torch's exporter."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headstart.errors import Finding, HeadstartError
from headstart.inference.onnx_file import messages

_EXAMPLE = (107, 117)  # not multiples of 8, so that the graph includes the padding
_SIDES = ("pictures", "channels", "height", "width")


class Answering(nn.Module):
    """A network that maps pictures in ``[0, 1]`` to probabilities.

    Args:
        network: gives logits, classes in dimension 1.
        mean: by channel; subtracted from pictures first. Empty: the network standardises them.
        std: by channel; pictures are divided by it next.
    """

    def __init__(
        self, network: nn.Module, mean: Sequence[float] = (), std: Sequence[float] = ()
    ) -> None:
        super().__init__()
        self.network, self.standardises = network, bool(mean)
        self.mean = nn.Buffer(torch.tensor(mean)[:, None, None])
        self.std = nn.Buffer(torch.tensor(std)[:, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Return the softmax of the logits."""
        if self.standardises:
            image = (image - self.mean) / self.std
        logits: Tensor = self.network(image)
        return logits.softmax(1)


def onnx_graph(
    answering: Answering,
    size: tuple[int, int] | None,
    names: tuple[str, str],
    metadata: dict[str, str],
) -> bytes:
    """Return the file: it holds the weights, takes any number of pictures, and names no paths.

    Args:
        answering: the network; on the CPU.
        size: height and width of the only input it takes; None: it takes any.
        names: of its input and its output.
        metadata: pairs of strings for the file.

    Raises:
        HeadstartError: torch cannot export this network.
    """
    example = torch.zeros(2, 3, *(size or _EXAMPLE))
    dynamic = dict.fromkeys((0,) if size else (0, 2, 3), torch.export.Dim.DYNAMIC)
    for module in answering.modules():  # which gives the same bits; tracing is a quarter faster
        if getattr(module, "inplace", False):
            vars(module)["inplace"] = False
    try:
        with _quietly(), torch.no_grad():  # with gradients, the exporter traces them, too
            program = torch.onnx.export(
                answering.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=(dynamic,),
                external_data=False,
                input_names=[names[0]],
                output_names=[names[1]],
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        message = f"torch cannot export this network: {str(error).splitlines()[0]}"
        raise HeadstartError(Finding("not-exported", "error", message)) from error
    assert program is not None
    model = program.model_proto
    _clean(model)
    for key, value in sorted(metadata.items()):
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the exporter, whose messages are for its developers; failures are exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _clean(model: Any) -> None:
    """Remove stack traces and file names, and name the dimensions."""
    for message in messages(model):
        for field in ("metadata_props", "doc_string"):
            if field in message.DESCRIPTOR.fields_by_name:
                message.ClearField(field)
    model.graph.ClearField("value_info")  # shapes of inner values, which every runtime infers
    for value in (*model.graph.input, *model.graph.output):
        for name, side in zip(_SIDES, value.type.tensor_type.shape.dim, strict=False):
            if side.WhichOneof("value") == "dim_param":
                side.dim_param = name
