"""A run as one ONNX file, which is written only if it answers as PyTorch does on real pictures."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from headstart.data.labelled_pictures import read_labelled_pictures
from headstart.data.layouts.class_folders import open_classes
from headstart.data.layouts.folders import find_pictures, open_dataset
from headstart.data.pictures.frame import Frame, read_frame
from headstart.errors import DataError, Finding, UsageError
from headstart.export.agreement import TOLERANCE, Agreement, Images, of_classifiers, of_segmenters
from headstart.inference.classifier import Classifier, not_above
from headstart.inference.onnx_metadata import KEY, Checked, Facts, OnnxFile, parse_onnx, read_onnx
from headstart.inference.onnx_network import INPUT, OUTPUT, classifier_of, segmenter_of
from headstart.inference.segmenter import Segmenter
from headstart.system.disk import disk_errors, locked, write_atomic
from headstart.system.packages import require
from headstart.training.config import RunConfig
from headstart.training.config_files import read_config
from headstart.training.task_settings import UNET

_PICTURES = 8
_PADDED = (
    "; padded at the right and the bottom to a multiple of 8 by repeating the border, and cropped "
    "back"
)

Item = TypeVar("Item")


def export_run(
    run: Path,
    out: Path | None = None,
    pictures: Path | None = None,
    fresh: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Writes a finished run as one ONNX file; answers at once if it is there.

    Args:
        run: its folder.
        out: the file; by default ``run/model.onnx``.
        pictures: a folder of real pictures to compare on; by default the run's own test and
            validation frames.
        fresh: write beside a file that is there.
        tell: told what takes long.

    Returns:
        ``file``, ``written`` (false: it was there), ``bytes``, ``sha256``, ``weights_sha256``, and
        ``agreement``, an [`Agreement`][headstart.export.agreement.Agreement]; None where it was there.

    Raises:
        DataError: ``run`` is no finished run, or there are no pictures to compare on.
        UsageError: something else is there, or what was made from other weights.
        HeadstartError: PyTorch and ONNX Runtime do not agree; nothing is written.
        MissingExtraError: a part of the extra is not installed.
    """
    path = out or run / "model.onnx"
    path = free_file(path) if fresh else path
    alone = locked(run) if path.parent == run and run.is_dir() else contextlib.nullcontext()
    with alone:
        if path.exists():
            return _there(path, run)
        require("onnx")
        export = _export_classifier if _task(run) == "classification" else _export_segmenter
        return export(run, path, pictures, tell)


def free_file(path: Path) -> Path:
    """``path``, or the first of ``model-2.onnx``, ``model-3.onnx``, ... that does not exist."""
    others = (path.with_stem(f"{path.stem}-{n}") for n in range(2, 10_000))
    return next(p for p in (path, *others) if not p.exists())


def _task(run: Path) -> str | None:
    its = run / "config.json"
    return read_config(its).task if its.exists() else None


def _there(path: Path, run: Path) -> dict[str, Any]:
    """The answer of a file that was written before.

    Raises:
        UsageError: it is none of ours, damaged, or was made from other weights.
    """
    hint = "choose another --out, or give --fresh to write beside it: nothing is overwritten"
    try:
        file = read_onnx(path)
        _opened(file)
    except DataError as error:
        message = f"{path} is there already, and cannot be used"
        raise UsageError([*error.findings, Finding("not-ours", "error", message, hint)]) from None
    weights = run / "weights.safetensors"
    if not weights.exists() or _sha256(weights.read_bytes()) != file.facts.weights_sha256:
        message = f"{path} was made from other weights than those of {run}"
        raise UsageError(Finding("other-weights", "error", message, hint))
    return _answer(file, None)


def _opened(file: OnnxFile) -> Segmenter | Classifier:
    of_classes = file.facts.task == "classification"
    return classifier_of(file) if of_classes else segmenter_of(file)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _answer(file: OnnxFile, agreement: Agreement | None) -> dict[str, Any]:
    return {
        "schema": 1,
        "file": str(file.path),
        "written": agreement is not None,
        "bytes": len(file.content),
        "sha256": file.digest,
        "weights_sha256": file.facts.weights_sha256,
        "agreement": None if agreement is None else asdict(agreement),
    }


def _export_segmenter(
    run: Path, path: Path, pictures: Path | None, tell: Callable[[str], None]
) -> dict[str, Any]:
    import torch

    from headstart.export.graph import Answering, onnx_graph
    from headstart.inference.torch_network import load_segmenter, load_trained
    from headstart.runs.records import version_of

    its = load_trained(run)
    images = _frames(run, pictures)
    facts = Facts(
        schema=1,
        headstart=version_of("headstart"),
        task="segmentation",
        model=its.name,
        names=its.label_map.names,
        greys=its.label_map.greys,
        size=its.size,
        min_area=its.min_area,
        input="RGB in [0, 1], float32: pictures x 3 x height x width, any number, any size"
        f"{'' if its.name == UNET else ' of which the encoder has two pixels left'}; "
        f"trained at {its.size[0]} x {its.size[1]}, to which pictures are brought, bilinearly",
        normalisation="inside: minus mean, divided by std, by channel"
        + (_PADDED if its.name == UNET else ""),
        mean=tuple(its.model.mean.flatten().tolist()),
        std=tuple(its.model.std.flatten().tolist()),
        weights_sha256=its.digest,
        checked=Checked(pictures=len(images), tolerance=TOLERANCE),
    )
    tell("exporting, which takes some seconds")
    content = onnx_graph(Answering(its.model), None, (INPUT, OUTPUT), {KEY: facts.to_json()})
    tell(f"comparing with PyTorch on {len(images)} pictures")
    theirs = load_segmenter(run, torch.device("cpu"))
    return write_segmenter(parse_onnx(path, content), theirs, images)


def write_segmenter(file: OnnxFile, theirs: Segmenter, images: Images) -> dict[str, Any]:
    """Writes a file that answers as ``theirs`` on pictures, RGB and of any size.

    Raises:
        HeadstartError: it does not; nothing is written.
        DiskError: it cannot be written.
    """
    return _write(file, of_segmenters(segmenter_of(file), theirs, images))


def write_classifier(file: OnnxFile, theirs: Classifier, images: Images) -> dict[str, Any]:
    """Writes a file that answers as ``theirs`` on pictures not above its size.

    Raises:
        HeadstartError: it does not; nothing is written.
        DiskError: it cannot be written.
    """
    return _write(file, of_classifiers(classifier_of(file), theirs, images))


def _write(file: OnnxFile, agreement: Agreement) -> dict[str, Any]:
    with disk_errors(file.path):
        file.path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file.path, file.content)
    return _answer(file, agreement)


def _export_classifier(
    run: Path, path: Path, pictures: Path | None, tell: Callable[[str], None]
) -> dict[str, Any]:
    import torch

    from headstart.export.graph import Answering, onnx_graph
    from headstart.inference.torch_network import load_classifier, load_trained_classifier
    from headstart.models.classifiers import MEAN, STD
    from headstart.runs.records import version_of

    its = load_trained_classifier(run)
    height, width = its.size
    images = _pictures_with_a_class(run, pictures, its.size)
    facts = Facts(
        schema=1,
        headstart=version_of("headstart"),
        task="classification",
        model=its.model,
        names=its.names,
        size=its.size,
        min_area=0.0,
        input=f"RGB in [0, 1], float32: pictures x 3 x {height} x {width}, any number",
        normalisation="inside: minus mean, divided by std, by channel (ImageNet's)",
        mean=MEAN,
        std=STD,
        weights_sha256=its.digest,
        checked=Checked(pictures=len(images), tolerance=TOLERANCE),
    )
    tell("exporting, which takes some seconds")
    graph = Answering(its.network, MEAN, STD)
    content = onnx_graph(graph, its.size, (INPUT, OUTPUT), {KEY: facts.to_json()})
    tell(f"comparing with PyTorch on {len(images)} pictures")
    theirs = load_classifier(run, torch.device("cpu"))
    return write_classifier(parse_onnx(path, content), theirs, images)


def _spread(items: Sequence[Item]) -> list[Item]:
    """At most so many as are compared, from all over."""
    count = min(_PICTURES, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _frames(run: Path, folder: Path | None) -> Images:
    """Pictures to compare a segmentation on, at their own sizes."""
    if folder is not None:
        return _read(find_pictures(folder), folder)
    config = _config(run)
    if not Path(config.data).exists():
        raise _no_pictures(run, config)
    dataset = open_dataset(Path(config.data))
    splits = (config.score, "validation")
    frames = [frame for split in splits for frame in dataset.splits.get(split, ())]
    if not frames:
        raise _no_pictures(run, config)
    return _read(frames, dataset.root)


def _read(frames: Sequence[Frame], folder: Path) -> Images:
    root = folder if folder.is_dir() else folder.parent
    return [read_frame(frame, root) for frame in _spread(frames)]


def _pictures_with_a_class(run: Path, folder: Path | None, size: tuple[int, int]) -> Images:
    """Pictures to compare a classification on, not above its size."""
    if folder is not None:
        return [not_above(image, size) for image in _read(find_pictures(folder), folder)]
    config = _config(run)
    if not Path(config.data).exists():  # a word is not fetched again
        raise _no_pictures(run, config)
    dataset = open_classes(Path(config.data))
    its = dataset.splits.get(config.score)
    if its is None:
        raise _no_pictures(run, config)
    some = its.subset(np.array(_spread(range(len(its.names))), dtype=np.int64))
    few = replace(dataset, splits={config.score: some})
    with tempfile.TemporaryDirectory() as cache:
        return list(read_labelled_pictures(few, config.score, size, Path(cache)).images)


def _config(run: Path) -> RunConfig:
    config = read_config(run / "config.json")
    assert isinstance(config, RunConfig)  # a pretext was refused before
    return config


def _no_pictures(run: Path, config: RunConfig) -> DataError:
    message = f"the pictures that {run} was scored on are not at {config.data}"
    hint = (
        "name a folder of real pictures to compare PyTorch and ONNX Runtime on: --pictures FOLDER"
    )
    return DataError(Finding("no-pictures", "error", message, hint))
