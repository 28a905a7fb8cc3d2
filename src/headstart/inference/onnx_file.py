"""Reading an ONNX file that headstart wrote, and checking it without trusting it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from headstart.config.records import RGB, Size
from headstart.data.files import read_file
from headstart.data.framing import Framing
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.data.pictures.value_range import ValueRange
from headstart.data.settings_files import FrozenModel
from headstart.data.task import TaskName
from headstart.errors import DataError, Finding
from headstart.system.packages import require

KEY = "headstart"
"""The key of the [`Facts`][] in the file's metadata."""
_SEAL = "headstart_sha256"
_SEAL_VALUE = re.compile(_SEAL.encode() + rb"\x12\x40([0-9a-f]{64})")  # a string of 64 characters
_MAX_BYTES = 2**31 - 1  # protobuf's own limit
_HINT = "give a file that headstart export wrote, or a run's folder"


class Checked(FrozenModel):
    """The comparison of ONNX Runtime with PyTorch when the file was written.

    Attributes:
        pictures: the number of real pictures.
        tolerance: no probability differed by more.
    """

    pictures: int
    tolerance: float


class Facts(FrozenModel):
    """The metadata of an ONNX file.

    Attributes:
        schema_: the version of this record.
        headstart: the version that wrote the file.
        task: the name of the task.
        model: the name of the network.
        names: the classes, in the order of the output.
        greys: for a segmentation, the grey level of each class in masks.
        colours: for a segmentation, the colour of each class in masks, if they have colours.
        size: height and width at which the network was trained.
        framing: how pictures become pictures of that size.
        min_area: for a segmentation, see
            [`class_maps`][headstart.inference.class_maps.class_maps].
        temperature: calibrates the probabilities that the file gives: see
            [`calibrated`][headstart.scores.calibration.calibrated].
        range: for pictures of more than 8 bits, the values that become black and white, or
            ``"percentile"``; None if the run's dataset declared none.
        page: the page of TIFF files with several that the run's dataset declared.
        input: the expected input, in words.
        normalisation: what the file does with a picture first, in words.
        mean: of the training pictures, by channel.
        std: of the training pictures, by channel.
        weights_sha256: SHA-256 of the run's file of weights.
        checked: the comparison with PyTorch.
        sealed: whether the file holds its own SHA-256; older versions wrote none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema")
    headstart: str
    task: TaskName
    model: str
    names: tuple[str, ...] = Field(min_length=1)
    greys: tuple[int, ...] | None = None
    colours: tuple[RGB, ...] = ()
    size: Size
    framing: Framing = "squeeze"
    min_area: float = Field(0.0, ge=0, lt=1)
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    range: ValueRange | None = None
    page: int | None = Field(None, ge=0)
    input: str
    normalisation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights_sha256: str
    checked: Checked
    sealed: bool = False

    @property
    def rules(self) -> ReadingRules:
        """How new pictures are read, as far as their files leave it open."""
        return ReadingRules(self.range, self.page)

    def to_json(self) -> str:
        """Return JSON with sorted keys, the same for the same facts."""
        absent = {name for name in ("colours", "sealed") if not getattr(self, name)}  # as before
        absent |= {"framing"} if self.framing == "squeeze" else set()
        absent |= {"temperature"} if self.temperature == 1 else set()
        absent |= {name for name in ("range", "page") if getattr(self, name) is None}
        content = self.model_dump(mode="json", by_alias=True, exclude=absent)
        return json.dumps(content, sort_keys=True)


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file that headstart wrote.

    Attributes:
        path: the file.
        content: its bytes.
        facts: its metadata.
        digest: SHA-256 of the content.
    """

    path: Path
    content: bytes
    facts: Facts
    digest: str


def is_onnx(path: Path) -> bool:
    """Return whether a path means an ONNX file, which need not exist, and not a run's folder."""
    return path.is_file() or (path.suffix == ".onnx" and not path.is_dir())


def read_onnx(path: Path) -> OnnxFile:
    """Return an ONNX file and its metadata; nothing is run.

    Raises:
        DataError: there is no such file, or it is damaged, not headstart's, or keeps weights in
            other files.
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


def metadata(facts: Facts) -> dict[str, str]:
    """Return the metadata of a file, with room for the hash that [`sealed_onnx`][] puts there."""
    return {KEY: facts.model_copy(update={"sealed": True}).to_json(), _SEAL: "0" * 64}


def sealed_onnx(content: bytes) -> bytes:
    """Return a file whose metadata hold the SHA-256 of the file, in which that hash is zeros.

    Args:
        content: a file with the metadata of [`metadata`][].
    """
    (place,) = _SEAL_VALUE.finditer(content)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[: place.start(1)] + digest + content[place.end(1) :]


def _is_as_written(content: bytes) -> bool | None:
    """Return whether a file has the SHA-256 in its metadata; None if it holds none."""
    places = list(_SEAL_VALUE.finditer(content))
    if len(places) != 1:
        return False if places else None
    unsealed = content[: places[0].start(1)] + b"0" * 64 + content[places[0].end(1) :]
    return hashlib.sha256(unsealed).hexdigest().encode() == places[0][1]


def parse_onnx(path: Path, content: bytes) -> OnnxFile:
    """Return the ONNX file with this content; ``path`` is for messages.

    Raises:
        DataError: as [`read_onnx`][].
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise refusal("bad-onnx", f"{path} is damaged or is not an ONNX file") from None
    as_written = _is_as_written(content)
    if as_written is False:
        raise _damaged(path, "it does not have the SHA-256 in its metadata")
    values = [prop.value for prop in model.metadata_props if prop.key == KEY]
    if len(values) != 1:
        raise refusal("foreign-onnx", f"{path} does not name its classes")
    if any(_is_outside(message) for message in messages(model)):
        message = f"{path} keeps weights in other files, which are not read"
        raise refusal("external-data", message)
    facts = _facts(path, values[0])
    if facts.sealed and as_written is None:
        raise _damaged(path, "its metadata lack the SHA-256 that it was written with")
    return OnnxFile(path, content, facts, hashlib.sha256(content).hexdigest())


def _damaged(path: Path, reason: str) -> DataError:
    hint = "restore it from a copy, or export the run again"
    return refusal("bad-onnx", f"{path} is damaged: {reason}", hint)


def refusal(code: str, message: str, hint: str = _HINT) -> DataError:
    """Return the error for a file that is not what it should be."""
    return DataError(Finding(code, "error", message, hint))


def messages(message: Any) -> Iterator[Any]:
    """Yield a protobuf message and all messages inside it; a tensor may be in any of them."""
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
        return Facts.model_validate_json(text)
    except ValidationError:
        raise bad_facts(path) from None


def bad_facts(path: Path) -> DataError:
    """Return the error for metadata that are not as this version writes them."""
    hint = "export the run again, with this version of headstart"
    return refusal("bad-onnx-facts", f"cannot understand the metadata of {path}", hint)
