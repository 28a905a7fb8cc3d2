"""Tiles where whole pictures would hide thin objects, unless an option says how large pictures are.

docs/decisions/0049-default-tiles.md says why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from headstart.config.option_values import AUTO
from headstart.config.options import PretextOptions, StudyOptions, TrainOptions
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.task_settings import TASKS
from headstart.data.checks.thin_objects import Hidden, thin_objects
from headstart.data.task import TaskName
from headstart.data.training_size import LONGEST_ON_CPU
from headstart.errors import Finding
from headstart.verbs.machine import FittingSize

_Options = TypeVar("_Options", TrainOptions, StudyOptions, PretextOptions)


def tiles_where_thin(
    options: _Options,
    task: TaskName,
    fitting_size: FittingSize,
    hidden: Hidden,
    before: RunConfig | PretextConfig | StudyConfig | None,
) -> tuple[_Options, tuple[Finding, ...]]:
    """Return the options with tiles if these are the default, and a line about it.

    They are the default of a new folder where whole pictures of the default size on a CPU would
    hide half of the classes or more; so the machine does not decide. Where they would hide others,
    the line recommends tiles. The assignment's recipes keep whole pictures, as the assignment did.

    Args:
        options: what they say stays.
        task: of the runs, or of those that start from a pretext.
        fitting_size: function from the longest side to a size.
        hidden: function from the size of whole pictures to the classes that it would hide.
        before: the configuration of a folder that was begun, which keeps its framing.
    """
    said = options.tile or options.squeeze or options.size not in (None, AUTO)
    if before is not None or said or TASKS[task].names_another(options.recipe):
        return options, ()
    size = fitting_size(LONGEST_ON_CPU)
    classes = None if size is None else hidden(size)
    tile = classes is not None and classes.most
    return (replace(options, tile=True) if tile else options), thin_objects(hidden, size)
