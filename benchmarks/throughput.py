"""Pictures per second of ``fit``, next to the compute bound and the students' loop.

Three parts take turns in one process, one round each, because single readings vary by a tenth:

``fit``
    One epoch of `headstart.training.fit.fit` itself: choosing the batch, casting, augmenting,
    forward, loss, backward, checks for NaN, step. Validation and checkpoints are timed separately.
``bound``
    As many forward passes, losses, backward passes and optimizer steps, on one augmented batch that
    stays in place; in both memory layouts, the faster of which is *the* bound.
``students``
    The same pictures through `student_loop.py`, once for each number of loader processes; the
    fastest counts.

Every ratio is computed within a round; the median over rounds is reported with the extremes. The
first round is a warm-up and is dropped, but ``fit``'s peak memory is read in it, before the other
parts exist.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from student_loop import Frames, train_epoch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from headstart.config.option_values import parse_size
from headstart.config.recipe_records import Recipe
from headstart.config.recipes import read_recipe
from headstart.data.batches import steps_per_epoch
from headstart.data.decoded_frames import decode
from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import Frame
from headstart.errors import Finding, HeadstartError, UsageError
from headstart.models.unet import UNet
from headstart.runs.records import environment
from headstart.seeding import key
from headstart.system.devices import pick_device, pick_precision
from headstart.system.processor import available_threads
from headstart.tasks.segmentation_batches import frame_batches
from headstart.training.batch_source import Batches
from headstart.training.fit import fit
from headstart.training.listener import Row
from headstart.training.placement import layout
from headstart.training.step import make_optimizer

Part = Callable[[], int]  # trains for one round, returns the number of pictures

_SEED = 1
_LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    data: str
    recipe: Recipe
    classes: int
    size: tuple[int, int]
    width: int
    pictures: int
    validation: int
    rounds: int
    threads: int
    device: torch.device
    precision: str  # of fit and the bound; the students' loop is in float32

    @property
    def steps(self) -> int:
        """Optimizer steps per round."""
        return steps_per_epoch(self.pictures, self.recipe.batch)

    def new_model(self, layout: torch.memory_format) -> UNet:
        """The same initial weights for every part."""
        torch.manual_seed(key(_SEED, "weights"))
        model = UNet(self.classes, self.width)
        return model.to(self.device, memory_format=layout)  # type: ignore[call-overload,no-any-return]


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> dict[str, float | None]:
    """Highest resident memory of this process, and memory allocated on the GPU, in MB (10^6)."""
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    cuda = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"process_mb": resident / 1e6, "gpu_mb": None if cuda is None else cuda / 1e6}


def bound_round(settings: Settings, source: Batches, layout: torch.memory_format) -> Part:
    """Run only forward, loss, backward and step."""
    device = settings.device
    model = settings.new_model(layout).train()
    optimizer = make_optimizer(model, settings.recipe)
    for group in optimizer.param_groups:
        # The arithmetic is the same at any rate, but a batch learned by heart would have gradients
        # that underflow, on which CPUs are slow: the bound would be lower than it is.
        group["lr"] = 0.0
    image, target = source.batch(np.arange(min(settings.recipe.batch, len(source.names))), 0)
    image = image.contiguous(memory_format=layout)

    def train() -> int:
        for _ in range(settings.steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=source.half):
                output = model(image)
            source.loss(output, target).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return settings.steps * len(image)

    return train


def students_round(
    settings: Settings, frames: tuple[Frame, ...], greys: tuple[int, ...], workers: int
) -> Part:
    """Run one pass of the students' loop, with its own copy of the network."""
    recipe = settings.recipe
    data = Frames(frames, greys, settings.size, recipe.augmentation)
    loader = DataLoader(data, recipe.batch, shuffle=True, num_workers=workers)
    model = nn.Sequential(settings.new_model(torch.contiguous_format), nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)

    def train() -> int:
        train_epoch(model, loader, optimizer, settings.device)
        return len(frames)

    return train


@dataclass
class TakingTurns:
    """Listens to ``fit``, times its epochs, and runs one round of every other part after each."""

    settings: Settings
    make_parts: Callable[[], dict[str, Part]]
    rounds: list[dict[str, float]] = field(default_factory=list)
    fit_memory: dict[str, float | None] = field(default_factory=dict)
    trained: float = 0.0
    resting: float = field(default_factory=time.perf_counter)
    parts: dict[str, Part] = field(default_factory=dict)

    def step(self, done: int, total: int) -> None:  # noqa: ARG002
        """Stop the clock at the end of an epoch's training, before validation."""
        if done % self.settings.steps == 0:
            synchronise(self.settings.device)
            self.trained = time.perf_counter()

    def epoch(self, row: Row, timing: Row) -> None:  # noqa: ARG002
        """Read the clock, and run the other parts."""
        seconds, validated = self.trained - self.resting, time.perf_counter()
        steps = self.settings.steps * self.settings.recipe.batch
        pictures = steps if self.settings.recipe.epoch == "steps" else self.settings.pictures
        reading = {"fit": pictures / seconds, "validation_seconds": validated - self.trained}
        if not self.parts:
            self.fit_memory = peak_memory(self.settings.device)
            self.parts = self.make_parts()
        for name, part in self.parts.items():
            synchronise(self.settings.device)
            began = time.perf_counter()
            done = part()
            synchronise(self.settings.device)
            reading[name] = done / (time.perf_counter() - began)
        shown = "  ".join(f"{n} {v:.1f}" for n, v in reading.items() if n != "validation_seconds")
        which = f"round {len(self.rounds)}" if self.rounds else "warming up"
        print(f"{which}: pictures per second: {shown}", file=sys.stderr, flush=True)
        self.rounds.append(reading)
        self.resting = time.perf_counter()

    def resumed(self, step: int, history: list[Row]) -> None:  # noqa: ARG002
        """Never called: the folder is new."""
        raise AssertionError(step)

    def warning(self, finding: Finding) -> None:
        """Passed on."""
        print(finding, file=sys.stderr)


def spread(values: list[float]) -> dict[str, float]:
    """Median and extremes."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Rates and ratios over rounds; the variant of a part with the best median represents it.

    >>> rounds = [{"fit": 9, "bound a": 10, "bound b": 8, "students 0": 5}] * 3
    >>> summary(rounds)["ratios"]["fit / bound"]["median"], summary(rounds)["bound"]
    (0.9, 'bound a')
    """
    rates = {name: [r[name] for r in rounds] for name in rounds[0] if name != "validation_seconds"}

    def best(prefix: str) -> str:
        return max(
            (n for n in rates if n.startswith(prefix)), key=lambda n: spread(rates[n])["median"]
        )

    bound, students = best("bound"), best("students")
    pairs = {
        "fit / bound": ("fit", bound),
        "students / bound": (students, bound),
        "fit / students": ("fit", students),
    }
    ratios = {
        name: spread([a / b for a, b in zip(rates[over], rates[under], strict=True)])
        for name, (over, under) in pairs.items()
    }
    rates_spread = {name: spread(values) for name, values in rates.items()}
    return {
        "bound": bound,
        "students": students,
        "ratios": ratios,
        "pictures_per_second": rates_spread,
    }


def gflop_per_picture(classes: int, width: int, size: tuple[int, int]) -> float:
    """GFLOP of forward and backward for one picture; a multiply-add counts as two.

    >>> round(gflop_per_picture(6, 32, (256, 320)), 1)
    78.1
    """
    with torch.device("meta"):
        model, image = UNet(classes, width), torch.zeros(1, 3, *size)
    with FlopCounterMode(display=False) as counter:
        model(image).sum().backward()
    return float(counter.get_total_flops()) / 1e9


def measure(
    settings: Settings, dataset: Dataset, folder: Path, workers: list[int]
) -> dict[str, Any]:
    """Run all rounds; ``folder`` receives the decoded pictures and the checkpoint."""
    torch.set_num_threads(settings.threads)
    frames = dataset.splits["train"][: settings.pictures]
    held_out = dataset.splits["validation"][: settings.validation]
    read = (settings.size, dataset.label_map, dataset.root, folder / "cache")
    train, validation = decode(frames, *read, keep_truth=False), decode(held_out, *read)
    recipe, device = settings.recipe, settings.device
    source = frame_batches(train, validation, recipe, settings.classes, _SEED, device)
    source = replace(source, half=settings.precision == "bfloat16")

    def make_parts() -> dict[str, Part]:
        bounds = {f"bound {n}": bound_round(settings, source, f) for n, f in _LAYOUTS.items()}
        greys = dataset.label_map.greys
        loops = {f"students {n}": students_round(settings, frames, greys, n) for n in workers}
        return bounds | loops

    turns = TakingTurns(settings, make_parts)
    fit(
        settings.new_model(layout(settings.device)),
        source,
        recipe,
        seed=_SEED,
        steps=settings.steps * recipe.epochs,
        device=device,
        folder=folder / "checkpoint",
        stop=lambda: False,
        listener=turns,
        checkpoint_seconds=float("inf"),  # none but the one at the end, which is timed
    )
    checkpoint_seconds = time.perf_counter() - turns.resting
    rounds = turns.rounds[1:]
    result = summary(rounds)
    floor = gflop_per_picture(settings.classes, settings.width, settings.size)
    reached = {n: floor * s["median"] for n, s in result["pictures_per_second"].items()}
    return {
        **result,
        "floor": {"gflop_per_picture": floor, "gflop_per_second": reached},
        "beside_training": {
            "validation_frames": len(held_out),
            "validation_seconds": spread([r["validation_seconds"] for r in rounds]),
            "checkpoint_seconds": checkpoint_seconds,
        },
        "peak_memory": {"fit": turns.fit_memory, "all": peak_memory(device)},
        "rounds": rounds,
    }


def open_or_draw(data: Path | None, pictures: int, folder: Path) -> Dataset:
    """The dataset in ``data``, or scenes of 256 x 320 drawn into ``folder``."""
    if data is None:
        counts = {
            "train": pictures,
            "validation": max(pictures // 6, 1),
            "test": 0,
            "unlabelled": 0,
        }
        data = write_dataset(folder / "drawn", **counts, height=256, width=320)
    dataset = open_dataset(data)
    missing = [s for s in ("train", "validation") if not dataset.splits.get(s)]
    if missing:
        message = f"{data} has no labelled frames for {', '.join(missing)}"
        raise UsageError(Finding("empty-split", "error", message, "choose another --data"))
    return dataset


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Pictures per second of fit, as ratios.")
    add = partial(parser.add_argument, metavar="")
    whole = partial(add, type=int)
    add("--data", type=Path, help="a dataset's folder [default: scenes drawn at 256x320]")
    add("--recipe", default="assignment-augmented", help="a name or a .toml or .json file")
    add("--size", default="64x80", help="HEIGHTxWIDTH [default: %(default)s]")
    whole("--width", default=16, help="of the network [default: %(default)s]")
    whole("--batch", default=10, help="pictures a step [default: %(default)s]")
    whole("--pictures", default=300, help="training pictures a round [default: %(default)s]")
    whole("--rounds", default=10, help="after one to warm up [default: %(default)s]")
    whole("--threads", default=available_threads(), help="CPU threads [default: %(default)s]")
    add("--workers", default="0,2", help="loader processes of the students' loop to try")
    add("--device", default="auto", help="cpu, cuda, or auto")
    add("--precision", choices=("float32", "bfloat16"), help="[default: what a run would take]")
    add("--out", type=Path, help="a JSON file [default: standard output]")
    options = parser.parse_args()
    for name in ("width", "batch", "pictures", "rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}, expected at least 1")
    try:
        options.workers = [int(n) for n in options.workers.split(",")]
    except ValueError:
        parser.error(f"--workers is {options.workers}, expected numbers such as 0,2")
    return options


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, and return the whole record."""
    name, size = pick_device(options.device), parse_size(options.size)
    device = torch.device(name)
    changes = {"batch": options.batch, "patience": None}
    recipe = read_recipe(options.recipe).with_epochs(options.rounds + 1).model_copy(update=changes)
    dataset = open_or_draw(options.data, options.pictures, folder)
    settings = Settings(
        data="drawn" if options.data is None else str(options.data),
        recipe=recipe,
        classes=len(dataset.label_map.names),
        size=size,
        width=options.width,
        pictures=min(options.pictures, len(dataset.splits["train"])),
        validation=min(max(options.pictures // 6, 1), len(dataset.splits["validation"])),
        rounds=options.rounds,
        threads=options.threads,
        device=device,
        precision=options.precision or pick_precision(name, segments=True),
    )
    measured = measure(settings, dataset, folder, options.workers)
    shown = {**vars(settings), "recipe": recipe.model_dump(mode="json"), "device": device.type}
    return {
        "schema": 1,
        "benchmark": "throughput",
        "hardware": environment(device.type),
        "settings": {**shown, "workers": options.workers},
        **measured,
    }


def main() -> None:
    """Measure, write JSON, and print the ratios to standard error."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is removed
    try:
        with tempfile.TemporaryDirectory() as folder:
            record = run(options, Path(folder))
    except HeadstartError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    for name, ratio in record["ratios"].items():
        extremes = f"({ratio['min']:.3f} to {ratio['max']:.3f})"
        print(f"{name}: {ratio['median']:.3f} {extremes}", file=sys.stderr)
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


if __name__ == "__main__":
    main()
