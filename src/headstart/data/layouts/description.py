"""``dataset.toml``: how to read a folder that headstart does not recognise, or reads otherwise.

::

    root = "."                                    # relative to this file
    pictures = "img/{group}/{name}.jpg"
    masks = "gt/{group}/{name}_gt.png"            # or a table of patterns by class
    valid = "fov/{name}.gif"                      # optional: pixels that are 0 there count nowhere
    ignore = 255                                  # optional: a level or colour, or several
    links = "follow"                              # optional: also where links leave the folder

    [classes]                                     # optional: levels, or colours such as "#ff0000"
    background = 0
    vessel = 255

    [split]                                       # optional: values of {split}, or list files
    train = "training"
    test = "testing"

In a pattern, ``{name}`` is required, ``{group}`` and ``{split}`` have a meaning, and other parts
must only agree between picture and mask ([`headstart.data.layouts.path_patterns`][]). A frame has
the name of its picture's file, without the ending; if ``{name}`` is a folder, the name of that
folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from headstart.data.label_map import IGNORE, backgrounds, parsed_value
from headstart.data.layouts.path_patterns import parts_of
from headstart.data.settings_files import FrozenModel, explain, read_settings
from headstart.errors import DataError

NAME = "dataset.toml"
"""The file's name in a dataset's folder; given as ``DATA`` it may be any ``.toml`` file."""

PAGE = "docs/howto/own-data.md"
"""The page that explains the settings."""

EXAMPLE = ('pictures = "images/{name}.*"', 'masks = "masks/{name}.png"')
"""The lines of a file that reads pictures and masks of the same names."""

LIST_ENDING = ".txt"
"""A value of ``[split]`` with this ending is a list file."""

Split = Literal["train", "validation", "test"]
Value = int | str | tuple[int, int, int]
Pattern = Annotated[str, Field(min_length=1, max_length=500)]


_LABELS = ("classes", "ignore", "threshold", "nearest", "missing")
_FILES = ("root", "links", "range", "page", "schema_")
_READ_BY = {
    "layout": ("layout", "root", "range", "page", "schema_"),
    "pictures": (
        *("pictures", "masks", "names", "unlabelled", "split", "valid"),
        *_LABELS,
        *_FILES,
    ),
    "frames": ("frames", *_LABELS, *_FILES),
}
"""The settings that each way to find frames reads."""


class ListedFrame(FrozenModel):
    """One frame, for folders whose names follow no pattern.

    Attributes:
        name: the frame's name, unique in its split.
        picture: its picture, relative to ``root``.
        masks: its mask files; several cover each other in this order.
        split: its split; null: it is unlabelled, or headstart draws the splits.
        group: its video or patient.
    """

    name: str
    picture: str
    masks: tuple[str, ...] = ()
    split: Split | None = None
    group: str | None = None


class Description(FrozenModel):
    """The content of a ``dataset.toml``.

    Attributes:
        root: the folder that all paths are relative to, itself relative to the file.
        layout: the name of a layout that reads the folder, in place of patterns.
        pictures: pattern of the pictures.
        masks: pattern of the masks; or by class, of masks that show that class alone.
        names: the name of a frame, of parts of its picture's pattern, such as ``"{group}_{name}"``;
            by default that of its picture's file.
        unlabelled: pattern of pictures without masks, or several.
        frames: frames one by one, in place of patterns.
        split: by split, the value of ``{split}``, or a text file that lists names.
        classes: grey level or colour by class name; by default the levels in the masks.
        ignore: level or colour, or several, of pixels that are ignored.
        valid: pattern of masks of the region that counts.
        threshold: masks are 255 from this brightness up and 0 below, for soft edges and JPEG; not
            with ``ignore``.
        nearest: each mask pixel is the class whose colour is nearest, by RGB distance, for soft
            edges and JPEG; the classes must be colours.
        missing: ``"background"``: a picture without mask shows background only.
        links: ``"follow"``: links that lead out of ``root`` are followed; else they are refused.
        range: the values that become black and white in pictures of more than 8 bits;
            ``"percentile"`` for each picture's own 0.5 and 99.5 percentiles.
        page: the page of TIFF files with several, from 0.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    root: str = "."
    layout: str | None = None
    pictures: Pattern | None = None
    masks: Pattern | dict[str, Pattern] | None = None
    names: Pattern | None = None
    unlabelled: Pattern | tuple[Pattern, ...] = ()
    frames: tuple[ListedFrame, ...] = ()
    split: dict[Split, str] = Field(default_factory=dict)
    classes: dict[str, Value] = Field(default_factory=dict)
    ignore: Value | tuple[Value, ...] = ()
    valid: Pattern | None = None
    threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    nearest: bool = False
    missing: Literal["error", "background"] = "error"
    links: Literal["refuse", "follow"] = "refuse"
    range: tuple[int, int] | Literal["percentile"] | None = None
    page: Annotated[int, Field(ge=0)] | None = None

    @field_validator("ignore", mode="before")
    @classmethod
    def _levels_or_colours(cls, value: object) -> object:
        for one in value if isinstance(value, list | tuple) else (value,):
            parsed = parsed_value(list(one) if isinstance(one, tuple) else one)
            if parsed is None or (isinstance(parsed, int) and not 0 <= parsed <= 255):
                raise ValueError(
                    f"{one} is neither a grey level from 0 to 255 nor a colour such as "
                    '"#ff0000" or [255, 0, 0]'
                )
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Description:
        self._check_ways()
        self._check_patterns()
        self._check_labels()
        return self

    def _check_ways(self) -> None:
        """Check that frames are described in one way, which reads every setting."""
        ways = [name for name in _READ_BY if getattr(self, name) not in (None, ())]
        if len(ways) != 1:
            raise ValueError("give one of layout, pictures (with masks) and frames")
        given = [
            name
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.get_default(call_default_factory=True)
        ]
        if unread := [name for name in given if name not in _READ_BY[ways[0]]]:
            raise ValueError(
                f"{ways[0]} cannot be combined with {', '.join(unread)}: leave out what you do not "
                "need, or describe the folder by pictures and masks"
            )
        if self.pictures is not None and not self.masks:
            raise ValueError("masks is missing: the pattern of the masks, or a table by class")

    def _check_patterns(self) -> None:
        """Check that patterns name frames, and that what stands for a part is in a pattern."""
        unlabelled = [self.unlabelled] if isinstance(self.unlabelled, str) else [*self.unlabelled]
        masks = [*self.masks.values()] if isinstance(self.masks, dict) else [self.masks]
        for pattern in (self.pictures, self.names, self.valid, *unlabelled, *masks):
            if pattern is not None and "{name}" not in pattern:
                raise ValueError(f"the pattern {pattern} has no {{name}}")
        parts = parts_of(self.pictures or "")
        if unknown := set(parts_of(self.names or "")) - set(parts):
            raise ValueError(f"names has {{{min(unknown)}}}, but pictures has not")
        values = [value for value in self.split.values() if not value.endswith(LIST_ENDING)]
        if values and len(values) < len(self.split):
            raise ValueError("split has list files and values of {split}: give one or the other")
        if values and "split" not in (*parts, *(p for each in unlabelled for p in parts_of(each))):
            raise ValueError(
                f"split has {values[0]}, but no pattern has {{split}}: write {{split}} into "
                f"pictures, or name list files, which end in {LIST_ENDING}"
            )
        if len(set(self.split.values())) < len(self.split):
            raise ValueError("split has one value for several splits: give each its own")

    def _check_labels(self) -> None:
        """Check that what is said about the labels fits together."""
        if isinstance(self.masks, dict):
            self._check_masks_by_class(self.masks)
        if self.threshold is not None and len(self.classes) > 2:
            raise ValueError("threshold is for two classes, one below and one from it on")
        if self.threshold is not None and self.ignore != ():
            raise ValueError(
                "give one of threshold and ignore: a threshold leaves only two levels, one for "
                "each class; leave out regions by valid, the pattern of masks of the region that "
                "counts"
            )
        levels = any(isinstance(value, int) for value in self.classes.values())
        if self.nearest and (levels or isinstance(self.masks, dict)):
            raise ValueError("nearest is for masks of all classes whose classes are colours")
        if self.nearest and self.threshold is not None:
            raise ValueError("give one of threshold and nearest")

    def _check_masks_by_class(self, masks: Mapping[str, Pattern]) -> None:
        if self.classes:
            raise ValueError(
                "masks by class cannot be combined with classes: the names of masks are the classes"
            )
        if named := backgrounds(masks):
            raise ValueError(f"masks has {named[0]}: leave it out, it is where no other class is")
        if "ignore" in masks:
            raise ValueError(
                "masks has ignore, which is not a class: give ignored levels as ignore = 255, or "
                "masks of the region that counts as valid"
            )
        if self.ignore == 0 or (isinstance(self.ignore, tuple) and 0 in self.ignore):
            raise ValueError("masks by class are 0 where the class is not: do not ignore 0")
        ignored = len(self.ignore) if isinstance(self.ignore, tuple) else 1
        if len(masks) > (most := min(IGNORE - 1, IGNORE - ignored)):
            raise ValueError(f"masks has {len(masks)} classes, expected at most {most}")


def read_description(path: Path) -> Description:
    """Read a ``dataset.toml``.

    Raises:
        DataError: it cannot be read, or a setting is wrong; names every one.
    """
    try:
        return Description.model_validate(read_settings(path))
    except ValidationError as error:
        findings = explain(error, str(path), Description.model_fields)
    except DataError as error:
        findings = [*error.findings]
    example = f"a minimal file has two lines, {' and '.join(EXAMPLE)}"
    # An example helps with one fault as with several: the first without a hint has it.
    for k, finding in enumerate(findings):
        if finding.code == "bad-setting" and not finding.hint:
            findings[k] = replace(finding, hint=f"{example}; {PAGE} explains all settings")
            break
    raise DataError(findings)


def to_toml(description: Description) -> str:
    """Return the text of a ``dataset.toml``."""
    values: dict[str, Any] = description.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"schema_"}
    )
    named = [name for name in ("classes", "split", "masks") if isinstance(values.get(name), dict)]
    tables = {name: values.pop(name) for name in named}
    frames = values.pop("frames", [])
    lines = [f"{name} = {_literal(value)}" for name, value in values.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{toml_key(key)} = {_literal(value)}" for key, value in table.items()]
    for frame in frames:
        lines += ["", "[[frames]]"]
        lines += [f"{key} = {_literal(value)}" for key, value in frame.items() if value is not None]
    return "\n".join(lines) + "\n"


def toml_key(name: str) -> str:
    """Return a name as a key of TOML.

    >>> toml_key("tool"), toml_key("bipolar forceps")
    ('tool', '"bipolar forceps"')
    """
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _literal(name)


def _literal(value: object) -> str:
    """Return a value as TOML writes it: JSON's texts, numbers and lists are TOML's, too."""
    return json.dumps(value, ensure_ascii=False)
