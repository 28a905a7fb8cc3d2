"""Classes as a line to paste into ``mapping.json`` or ``dataset.toml``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from headstart.data.label_map import Colour
from headstart.data.layouts.description import NAME, toml_key

MAPPING = "mapping.json"


def class_names(count: int) -> list[str]:
    """Return names for classes that have none.

    >>> class_names(3)
    ['background', 'class_1', 'class_2']
    """
    return ["background", *(f"class_{k}" for k in range(1, count))]


def named(values: Sequence[object], names: Sequence[str] = ()) -> dict[str, object]:
    """Return values by class name; with other names than given if their numbers differ.

    >>> named([0, 255]), named([0, 255], ("bg", "tool"))
    ({'background': 0, 'class_1': 255}, {'bg': 0, 'tool': 255})
    """
    fitting = names if len(names) == len(values) else class_names(len(values))
    return dict(zip(fitting, values, strict=True))


def to_paste(values: Mapping[str, object], file: str = MAPPING) -> str:
    """Return where to write classes, and the text.

    Args:
        values: a level or colour, or several for ``ignore``, by class name.
        file: ``"dataset.toml"``, or another file that names classes, which ``mapping.json``
            precedes.

    >>> to_paste({"background": 0, "tool": 255})
    'write mapping.json: {"background": 0, "tool": 255}'
    >>> to_paste({"background": 0, "tool": "#ff0000"}, "dataset.toml")
    'in dataset.toml, replace [classes] by: classes = {background = 0, tool = "#ff0000"}'
    """
    if file != NAME:
        return f"write mapping.json: {json.dumps(values, ensure_ascii=False)}"
    pairs = (f"{toml_key(n)} = {json.dumps(v, ensure_ascii=False)}" for n, v in values.items())
    return f"in {NAME}, replace [classes] by: classes = {{{', '.join(pairs)}}}"


def hex_of(code: int) -> str:
    """Return a colour's number, ``red << 16 | green << 8 | blue``, as text.

    >>> hex_of(0xFF0000)
    '#ff0000'
    """
    return f"#{code:06x}"


def hex_of_colour(colour: Colour) -> str:
    """Return a colour as text.

    >>> hex_of_colour((255, 0, 0))
    '#ff0000'
    """
    red, green, blue = colour
    return hex_of(red << 16 | green << 8 | blue)
