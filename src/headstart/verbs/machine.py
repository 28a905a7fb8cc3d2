"""What a training takes from this machine and from its pictures: device, precision, size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headstart.config.begun import device_name
from headstart.config.option_values import AUTO
from headstart.config.options import Options
from headstart.config.records import Config, RunConfig
from headstart.data.training_size import ANY_SIZE, longest_side, tile_size
from headstart.system.devices import pick_device, pick_precision


def on_this_machine(
    config: Config,
    options: Options,
    before: Any,
    fitting_size: Callable[[int], tuple[int, int] | None],
) -> Config:
    """Return a configuration with the device, precision and size that it will train with.

    What a folder was begun with stays; else it is what the options say, or what suits the machine
    and the pictures. The pretext of a run gets the same.

    Args:
        config: resolved from the options.
        options: of the verb.
        before: the configuration that ``config`` builds on; None: a new folder.
        fitting_size: function from the longest side to a size; None: the default of the task.

    Raises:
        UsageError: there is no such device.
    """
    device = pick_device(device_name(options.device, before))
    changed: dict[str, Any] = {"device": device}
    if before is None and options.precision is None:
        changed["precision"] = pick_precision(device, segments=config.width is not None)
    if before is None and options.size in (None, AUTO):
        tiles = config.framing == "tile"  # of pictures at their own size
        size = fitting_size(ANY_SIZE if tiles else longest_side(device)) or config.size
        changed["size"] = tile_size(size, device) if tiles else size
    if isinstance(config, RunConfig) and config.pretext is not None:
        changed["pretext"] = config.pretext.model_copy(update=changed)
    return config.model_copy(update=changed)
