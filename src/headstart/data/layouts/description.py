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

A pattern has parts in braces, which match within one folder or file name; ``*`` matches anything
there. ``{name}`` is required, ``{group}`` and ``{split}`` have a meaning, and other parts must only
agree between picture and mask. A frame has the name of its picture's file, without the ending; if
``{name}`` is a folder, the name of that folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from headstart.data.settings_files import FrozenModel, explain, read_settings
from headstart.errors import DataError

NAME = "dataset.toml"
"""The file's name in a dataset's folder; given as ``DATA`` it may be any ``.toml`` file."""

Split = Literal["train", "validation", "test"]
Value = int | str | tuple[int, int, int]
Parts = Mapping[str, str]
"""What the parts of a pattern stand for in one path, by the part's name."""
Pattern = Annotated[str, Field(min_length=1, max_length=500)]


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
        ignore: level or colour, or several, of pixels that count nowhere.
        valid: pattern of masks of the region that counts.
        threshold: masks are 255 from this brightness up and 0 below, for soft edges and JPEG.
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

    @model_validator(mode="after")
    def _one_way_to_find_frames(self) -> Description:
        """Check that frames are described in one way, and that patterns name them."""
        ways = [self.layout is not None, self.pictures is not None, bool(self.frames)]
        if sum(ways) != 1:
            raise ValueError("give one of layout, pictures (with masks) and frames")
        if self.layout is not None and self.links == "follow":
            raise ValueError(
                "links are followed for pictures and masks, or frames, not for a layout"
            )
        if self.pictures is not None and self.masks is None:
            raise ValueError("masks is missing: the pattern of the masks")
        if self.threshold is not None and len(self.classes) > 2:
            raise ValueError("threshold is for two classes, one below and one from it on")
        levels = any(isinstance(value, int) for value in self.classes.values())
        if self.nearest and (levels or isinstance(self.masks, dict) or self.layout is not None):
            raise ValueError("nearest is for masks of all classes whose classes are colours")
        if self.nearest and self.threshold is not None:
            raise ValueError("give one of threshold and nearest")
        if isinstance(self.masks, dict) and "background" in self.masks:
            raise ValueError("masks has background: leave it out, it is where no other class is")
        unknown = set(parts_of(self.names or "")) - set(parts_of(self.pictures or ""))
        if unknown:
            raise ValueError(f"names has {{{min(unknown)}}}, but pictures has not")
        patterns = [self.pictures, self.names, self.valid]
        patterns += [self.unlabelled] if isinstance(self.unlabelled, str) else self.unlabelled
        patterns += list(self.masks.values()) if isinstance(self.masks, dict) else [self.masks]
        for pattern in patterns:
            if pattern is not None and "{name}" not in pattern:
                raise ValueError(f"the pattern {pattern} has no {{name}}")
        return self


def read_description(path: Path) -> Description:
    """Read a ``dataset.toml``.

    Raises:
        DataError: it cannot be read, or a setting is wrong; names every one.
    """
    try:
        return Description.model_validate(read_settings(path))
    except ValidationError as error:
        raise DataError(explain(error, str(path), Description.model_fields)) from None


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern.

    >>> compiled("img/{group}/{name}_*.png").fullmatch("img/p1/7_left.png").groupdict()
    {'group': 'p1', 'name': '7'}
    """
    seen: set[str] = set()
    expression = ""
    for piece in re.split(r"(\{[a-z_]+\}|\*)", pattern):
        if piece == "*":
            expression += "[^/]*"
        elif piece[:1] == "{" and piece[-1:] == "}":
            part = piece[1:-1]
            expression += f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+)"
            seen.add(part)
        else:
            expression += re.escape(piece)
    return re.compile(expression)


def parts_of(pattern: str) -> list[str]:
    """Return the names of the parts of a pattern.

    >>> parts_of("img/{group}/{name}_*.png")
    ['group', 'name']
    """
    return re.findall(r"\{([a-z_]+)\}", pattern)


def filled(pattern: str, parts: Parts) -> str:
    """Return a pattern with values in place of its parts.

    >>> filled("{group}_{name}", {"group": "p1", "name": "7"})
    'p1_7'
    """
    return re.sub(r"\{([a-z_]+)\}", lambda part: parts[part[1]], pattern)


def literal(pattern: str) -> int:
    """Return how many characters of a pattern match only themselves.

    >>> literal("img/{name}_mask.*")
    10
    """
    return len(re.sub(r"\{[a-z_]+\}|\*", "", pattern))


def matching(pattern: str, paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the paths that a pattern matches, each with its parts."""
    expression = compiled(pattern)
    return {path: match.groupdict() for path in paths if (match := expression.fullmatch(path))}


def may_lie_in(folder: str, pattern: str) -> bool:
    """Return whether files that a pattern matches may lie in a folder or below it.

    >>> may_lie_in("p1/img", "{group}/img/{name}.png"), may_lie_in("p1/old", "{group}/img/{name}")
    (True, False)
    """
    above = pattern.split("/")[:-1]
    depth = folder.count("/") + 1
    return depth <= len(above) and compiled("/".join(above[:depth])).fullmatch(folder) is not None


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
