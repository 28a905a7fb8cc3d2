"""What an ONNX file that headstart wrote says of itself, read without trusting it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from headstart.data.files import read_file
from headstart.data.label_map import LabelMap
from headstart.data.question import TaskName
from headstart.errors import DataError, Finding
from headstart.system.packages import require
from headstart.training.config import Size
from headstart.training.recipes import FrozenModel

KEY = "headstart"
"""Under which the file's metadata hold its [`Facts`][]."""
_MAX_BYTES = 2**31 - 1  # protobuf's own limit
_HINT = "give a file that headstart export wrote, or a run's folder"


class Checked(FrozenModel):
    """What the file was compared with when it was written.

    Attributes:
        pictures: real ones, on which PyTorch and ONNX Runtime were compared.
        tolerance: no probability differed by more.
    """

    pictures: int
    tolerance: float


class Facts(FrozenModel):
    """What an ONNX file says of itself.

    Attributes:
        schema_: of these facts.
        headstart: the version that wrote it.
        task: what it answers.
        model: the network's name.
        names: of its classes, in the order of its output.
        greys: of a segmentation, the grey level that stands for each class in masks.
        size: height and width it was trained at, to which pictures are brought.
        min_area: of a segmentation: a foreground class that is the most probable on a smaller share
            of a picture is not predicted there.
        input: what goes in, in words.
        normalisation: what the network itself does to the picture first, in words.
        mean: the numbers, by channel.
        std: by channel.
        weights_sha256: of the run's file of weights.
        checked: what it was compared with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema")
    headstart: str
    task: TaskName
    model: str
    names: tuple[str, ...] = Field(min_length=1)
    greys: tuple[int, ...] | None = None
    size: Size
    min_area: float = Field(0.0, ge=0, lt=1)
    input: str
    normalisation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights_sha256: str
    checked: Checked

    def to_json(self) -> str:
        """One sorted text, the same for the same facts."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)


@dataclass(frozen=True)
class OnnxFile:
    """A file that was found to be one of headstart's.

    Attributes:
        path: where it is.
        content: of the file.
        facts: what it says of itself.
        digest: SHA-256 of the file.
    """

    path: Path
    content: bytes
    facts: Facts
    digest: str


def is_onnx(path: Path) -> bool:
    """Whether a run's place is taken by a file, there or not."""
    return path.is_file() or (path.suffix == ".onnx" and not path.is_dir())


def read_onnx(path: Path) -> OnnxFile:
    """A file and what it says of itself; nothing is run.

    Raises:
        DataError: there is none, it is damaged, none of headstart's, or keeps weights outside.
        MissingExtraError: onnx is not installed.
    """
    require("onnx", "onnx", "onnxruntime")
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        message = f"there is no file {path}"
        hint = "write it from a finished run: headstart export RUN"
        raise DataError(Finding("no-onnx", "error", message, hint)) from None
    return parse_onnx(path, read_file(real, real.parent, _MAX_BYTES))


def parse_onnx(path: Path, content: bytes) -> OnnxFile:
    """What the file ``path`` is, from its content.

    Raises:
        DataError: as [`read_onnx`][].
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise refusal("bad-onnx", f"{path} is damaged or no ONNX file") from None
    found = [prop.value for prop in model.metadata_props if prop.key == KEY]
    if len(found) != 1:
        raise refusal("foreign-onnx", f"{path} does not say what its classes are")
    if any(_is_outside(message) for message in messages(model)):
        message = f"{path} keeps weights in other files, which are not read"
        raise refusal("external-data", message)
    return OnnxFile(path, content, _facts(path, found[0]), hashlib.sha256(content).hexdigest())


def refusal(code: str, message: str, hint: str = _HINT) -> DataError:
    """Of a file that is not what it should be."""
    return DataError(Finding(code, "error", message, hint))


def messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all that are inside it, wherever a tensor may be."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if isinstance(value, Iterable) else (value,):
                yield from messages(part)


def _is_outside(message: Any) -> bool:
    if message.DESCRIPTOR.name != "TensorProto":
        return False
    return bool(message.external_data) or message.data_location == message.EXTERNAL


def _facts(path: Path, text: str) -> Facts:
    try:
        facts = Facts.model_validate_json(text)
        if facts.task == "segmentation":
            LabelMap(facts.names, facts.greys or ())
    except (ValidationError, ValueError):
        message = f"what {path} says of itself is not understood"
        hint = "export the run again, with this version of headstart"
        raise refusal("bad-onnx-facts", message, hint) from None
    return facts
