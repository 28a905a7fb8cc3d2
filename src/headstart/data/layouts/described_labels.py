"""The classes of a described folder, and the mask of each frame, as ``dataset.toml`` says."""

from __future__ import annotations

from pathlib import Path

from headstart.data.label_map import LabelMap, map_of_colours, map_of_levels, parsed_value
from headstart.data.layouts.description import Description
from headstart.data.layouts.label_discovery import find_label_map
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.frame import Frame, Layer, Shapes


def described_label_map(
    search: FrameSearch, description: Description, masks: list[Path]
) -> LabelMap | None:
    """Return the label map of a described folder; None with an error among the findings.

    Args:
        search: gets findings, and a sentence of the reading.
        description: of the folder.
        masks: mask files.
    """
    ignored = description.ignore if isinstance(description.ignore, tuple) else (description.ignore,)
    values = [parsed_value(list(v) if isinstance(v, tuple) else v) for v in ignored]
    levels = [v for v in values if isinstance(v, int)]
    colours = [v for v in values if isinstance(v, tuple)]
    if isinstance(description.masks, dict):
        names = ["background", *description.masks]
        free = (level for level in range(256) if level not in levels)
        return map_of_levels(dict(zip(names, free, strict=False)), levels)
    if not description.classes:
        if description.threshold is not None:
            return map_of_levels({"background": 0, "class_1": 255})
        return find_label_map(search, masks, ignore=levels)
    parsed = {
        name: parsed_value(list(v) if isinstance(v, tuple) else v)
        for name, v in description.classes.items()
    }
    if wrong := [name for name, value in parsed.items() if value is None]:
        message = f"classes that have neither a grey level nor a colour: {', '.join(wrong)}"
        search.add_finding("label-map", "error", message, 'write a level, or a colour as "#ff0000"')
        return None
    named = ", ".join(f"{value} {name}" for name, value in description.classes.items())
    search.reading.append(f"Classes: {named}")
    try:
        if all(isinstance(value, tuple) for value in parsed.values()):
            return map_of_colours(
                {n: v for n, v in parsed.items() if isinstance(v, tuple)}, colours
            )
        return map_of_levels({n: v for n, v in parsed.items() if isinstance(v, int)}, levels)
    except ValueError as error:
        search.add_finding(
            "label-map", "error", str(error), "give each class its own level or colour"
        )
        return None


def described_mask(
    masks: list[tuple[Path, str]], description: Description, label_map: LabelMap, frame: Frame
) -> Path | tuple[Layer | Shapes, ...]:
    """Return the mask of a frame: a file as it is, or layers.

    Args:
        masks: the frame's mask files, each with its class; ``""``: all classes.
        description: of the folder.
        label_map: of the folder.
        frame: the frame, for one that shows background only.
    """
    if not masks:
        return (Shapes(frame.image, ()),)  # shows background only
    if isinstance(description.masks, dict):
        grey = dict(zip(label_map.names, label_map.greys, strict=True))
        return tuple(
            Layer(path, ((0, 0),), f"the masks of {name}", grey[name], ignored=label_map.ignore,
                  threshold=description.threshold)
            for path, name in masks
        )  # fmt: skip
    if len(masks) == 1 and description.threshold is None:
        return masks[0][0]
    if description.threshold is not None:
        levels: tuple[tuple[int, int], ...] = ((0, label_map.greys[0]), (255, label_map.greys[-1]))
    else:
        levels = tuple((grey, grey) for grey in label_map.greys)
    return tuple(
        Layer(
            path, levels, "the label map", ignored=label_map.ignore, threshold=description.threshold
        )
        for path, _ in masks
    )
