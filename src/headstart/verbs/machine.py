"""What a training takes from this machine and from its pictures: device, precision, size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headstart.config.begun import device_name
from headstart.config.option_values import AUTO
from headstart.config.options import Options, TrainOptions
from headstart.config.records import Config, RunConfig
from headstart.data.training_size import ANY_SIZE, longest_side, tile_size
from headstart.errors import Finding, UsageError
from headstart.system.devices import device_of_jobs, has_cuda, pick_device, pick_precision

FittingSize = Callable[[int], tuple[int, int] | None]
"""Function from the longest side to the size that fits the pictures; None: the task's default."""


@dataclass(frozen=True)
class Jobs:
    """Runs that other machines train.

    Attributes:
        gpu: whether these are asked for a GPU.
        tell: receives what is assumed of them.
    """

    gpu: bool
    tell: Callable[[str], None]


def on_this_machine(
    config: Config,
    options: Options,
    before: Any,
    fitting_size: FittingSize,
    jobs: Jobs | None = None,
) -> Config:
    """Return a configuration with the device, precision and size that it will train with.

    What a folder was begun with stays; else it is what the options say, or what suits the machine
    and the pictures. The pretext of a run gets the same.

    Args:
        config: resolved from the options.
        options: of the verb.
        before: the configuration that ``config`` builds on; None: a new folder.
        fitting_size: function from the longest side to a size; None: the default of the task.
        jobs: where other machines train; None: this one does.

    Raises:
        UsageError: there is no such device, or it does not train in that precision.
    """
    name = device_name(options.device, before)
    device = pick_device(name) if jobs is None else device_of_jobs(name, jobs.gpu)
    if device == "mps" and config.precision == "bfloat16":
        message = "--precision bfloat16 with --device mps; expected float32, as Apple's GPUs train"
        raise UsageError(Finding("bad-setting", "error", message))
    changed: dict[str, Any] = {"device": device}
    if before is None and options.precision is None:
        if jobs is not None and device == "cuda" and not has_cuda():
            changed["precision"] = "bfloat16"  # of all since NVIDIA's Ampere; there is none to ask
            jobs.tell(
                "The GPUs of the cluster are taken to multiply bfloat16 (NVIDIA's since 2020); for "
                "older ones give --precision float32"
            )
        else:
            changed["precision"] = pick_precision(device, segments=config.width is not None)
    of_file = isinstance(options, TrainOptions) and options.config is not None
    cut_otherwise = before is not None and config.framing != before.framing
    asked = options.size == AUTO or (options.size is None and (before is None or cut_otherwise))
    if asked and (before is None or of_file):
        tiles = config.framing == "tile"
        changed["size"] = size_that_fits(tiles, device, fitting_size, config.size)
    if isinstance(config, RunConfig) and config.pretext is not None:
        changed["pretext"] = config.pretext.model_copy(update=changed)
    return config.model_copy(update=changed)


def size_that_fits(
    tiles: bool, device: str, fitting_size: FittingSize, default: tuple[int, int]
) -> tuple[int, int]:
    """Return the size to train at on a device where no option gives it."""
    if tiles:  # of pictures at their own size
        return tile_size(fitting_size(ANY_SIZE) or default, device)
    return fitting_size(longest_side(device)) or default
