"""The weights of a finished run and what they say about themselves, whatever the task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from headstart.config.records import RGB, Size
from headstart.data.framing import Framing
from headstart.data.label_map import LabelMap
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError, Finding
from headstart.inference.members import members_of, temperature_together
from headstart.records.calibration import temperature_of
from headstart.records.run_records import SCORES, WEIGHTS, Record
from headstart.runs.folder import weights_missing

_Grey = Annotated[int, Field(ge=0, le=255)]
_Channels = tuple[float, float, float]
_Colour = Annotated[RGB, Field(strict=False)]


class WeightsFacts(Record):
    """What a run's ``weights.safetensors`` says about its network.

    Attributes:
        task: the name of the task; the first runs segmented and did not record it.
        model: the name of the network.
        pretext: the name of the pretext; None for other tasks.
        width: channels of the first level, where the network has such a setting.
        size: height and width at which the network was trained.
        framing: how pictures become pictures of that size.
        names: the classes, in the order of the network's output.
        greys: for a segmentation, the grey level of each class in masks.
        colours: for a segmentation, the colour of each class in masks, if they have colours.
        min_area: for a segmentation, the smallest share of a picture that a class may cover.
        mean: of a classifier's input, by channel: subtracted from pictures in ``[0, 1]``.
        std: of a classifier's input: pictures are divided by it next.
        range: for pictures of more than 8 bits, the values that its dataset declared to be black
            and white; None if it declared none.
        page: the page of TIFF files with several that its dataset declared.
    """

    task: str = "segmentation"
    model: str
    pretext: str | None = None
    width: int | None = Field(None, ge=1, le=4096)
    size: Annotated[Size, Field(strict=False)]
    framing: Framing = "squeeze"
    names: Annotated[tuple[str, ...], Field(strict=False)] = ()
    greys: Annotated[tuple[_Grey, ...], Field(strict=False)] = ()
    colours: Annotated[tuple[_Colour, ...], Field(strict=False)] = ()
    min_area: float = Field(0.0, ge=0, lt=1)
    mean: Annotated[_Channels, Field(strict=False)] = (0.485, 0.456, 0.406)
    std: Annotated[_Channels, Field(strict=False)] = (0.229, 0.224, 0.225)
    range: Annotated[tuple[int, int], Field(strict=False)] | Literal["percentile"] | None = None
    page: int | None = Field(None, ge=0)

    @property
    def rules(self) -> ReadingRules:
        """How new pictures are read, as far as their files leave it open."""
        return ReadingRules(self.range, self.page)


@dataclass(frozen=True)
class FinishedRun:
    """The content of a run's ``weights.safetensors``.

    Attributes:
        folder: the run's folder.
        weights: the state of the network, on the CPU.
        facts: the metadata that were written with the weights.
        digest: SHA-256 of the file; of several runs, of their digests.
        members: the runs that predict together, if these are several; ``weights`` and ``facts`` are
            those of the first.
        temperature: of its probabilities, see
            [`calibrated`][headstart.scores.calibration.calibrated].
    """

    folder: Path
    weights: Mapping[str, Any]
    facts: WeightsFacts
    digest: str
    members: tuple[FinishedRun, ...] = ()
    temperature: float = 1.0

    @property
    def network_name(self) -> str:
        """The name of the network, or of the pretext."""
        return self.facts.pretext or self.facts.model

    def label_map(self) -> LabelMap:
        """Return the classes of a segmentation, and their grey levels or colours.

        Raises:
            DataError: they cannot be those of one dataset.
        """
        from headstart.training.checkpoint import bad_weights

        try:
            return LabelMap(self.facts.names, self.facts.greys, (), self.facts.colours)
        except ValueError as error:
            raise bad_weights(self.folder / WEIGHTS, f"its classes: {error}") from None

    def load_into(self, network: Any, weights: Mapping[str, Any]) -> None:
        """Copy weights into a network, which they must fit.

        Raises:
            DataError: a tensor is missing, unknown, or of another shape.
        """
        from headstart.training.checkpoint import bad_weights

        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[1:2] or [str(error)]
            path = self.folder / WEIGHTS
            raise bad_weights(path, f"it does not fit the network: {reason[0].strip()}") from None


def read_finished_run(folder: Path) -> FinishedRun:
    """Return the weights of a finished run; loads torch.

    Of a study or a cross-validation, those of its members: see
    [`members_of`][headstart.inference.members.members_of].

    Raises:
        DataError: there is no such run, it is not finished, or its weights are damaged.
    """
    if (several := members_of(folder)) is not None:
        members = tuple(map(_read_one, several.runs))
        digests = hashlib.sha256("".join(member.digest for member in members).encode())
        first = members[0]
        for member in members:
            if member.facts.model_copy(update={"min_area": first.facts.min_area}) != first.facts:
                message = f"{member.folder} and {first.folder} are of different networks"
                hint = "restore them from a copy; or repeat the command that made them"
                raise DataError(Finding("bad-record", "error", message, hint))
        least = min(member.facts.min_area for member in members)  # it depends on a run's labels
        return replace(
            first,
            folder=folder,
            facts=first.facts.model_copy(update={"min_area": least}),
            digest=digests.hexdigest(),
            members=members,
            temperature=temperature_together(several),
        )
    return _read_one(folder)


def _read_one(folder: Path) -> FinishedRun:
    path = folder / WEIGHTS
    if not folder.is_dir():
        message = f"there is no run folder {folder}"
        raise DataError(Finding("no-run", "error", message, "train one: headstart train DATA"))
    if not path.exists():
        if (folder / SCORES).exists():
            raise DataError(weights_missing(folder, "error"))
        message = f"{folder} holds no {WEIGHTS}; expected a finished run"
        hint = "give the same train command again: it resumes"
        raise DataError(Finding("no-weights", "error", message, hint))
    from headstart.training.checkpoint import bad_weights, load_weights

    weights, content, digest = load_weights(path)
    try:
        facts = WeightsFacts.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise bad_weights(path, f"its metadata are damaged: {name}: {first['msg']}") from None
    if facts.task == "segmentation" and (facts.width is None or len(facts.names) < 2):
        raise bad_weights(path, "its metadata lack the width of the network, or its classes")
    return FinishedRun(folder, weights, facts, digest, temperature=temperature_of(folder))
