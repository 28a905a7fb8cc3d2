"""The network in an ONNX file that headstart wrote, run by ONNX Runtime; torch is not loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from headstart.data.label_map import LabelMap
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.classifier import Classifier, Small
from headstart.inference.onnx_metadata import OnnxFile, read_onnx, refusal
from headstart.inference.segmenter import Pictures, Segmenter, Sizes, class_maps, resized
from headstart.system.processor import available_threads

INPUT, OUTPUT = "image", "probabilities"
_BATCH = 8


def check_device(device: str) -> None:
    """Refuses what ONNX Runtime is not asked to run on here.

    Raises:
        UsageError: it is neither ``"auto"`` nor ``"cpu"``.
    """
    if device not in ("auto", "cpu"):
        message = f"an ONNX file is run on the CPU, not on {device}"
        hint = "leave --device out, or give the run's folder: PyTorch runs it on a GPU"
        raise UsageError(Finding("onnx-on-cpu", "error", message, hint))


def load_onnx(path: Path) -> Segmenter:
    """The segmentation network in an ONNX file, ready for use.

    Raises:
        DataError: as [`read_onnx`][]; or it cannot be run, or segments nothing.
        MissingExtraError: ONNX Runtime is not installed.
    """
    return segmenter_of(read_onnx(path))


def segmenter_of(file: OnnxFile) -> Segmenter:
    """The same, of a file that was read."""
    facts = file.facts
    if facts.task != "segmentation":
        message = f"{file.path} holds a classifier ({facts.model}), which segments nothing"
        hint = "it can be used on pictures with a class"
        raise DataError(Finding("is-a-classifier", "error", message, hint))
    run = _running(file, [None, 3, None, None])

    def probabilities(images: Pictures) -> Float32[np.ndarray, "n k h w"]:
        parts = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
        return np.concatenate([run(part.astype(np.float32) / np.float32(255)) for part in parts])

    def maps(images: Pictures, sizes: Sizes) -> list[UInt8[np.ndarray, "_ _"]]:
        found = []
        for i in range(0, len(images), _BATCH):
            part = slice(i, i + _BATCH)
            found += class_maps(probabilities(images[part]), sizes[part], facts.min_area)
        return found

    label_map = LabelMap(facts.names, facts.greys or ())
    return Segmenter(facts.size, label_map, facts.min_area, file.digest, probabilities, maps)


def load_onnx_classifier(path: Path) -> Classifier:
    """The classification network in an ONNX file, ready for use.

    Raises:
        DataError: as [`read_onnx`][]; or it cannot be run, or knows no classes of pictures.
        MissingExtraError: ONNX Runtime is not installed.
    """
    return classifier_of(read_onnx(path))


def classifier_of(file: OnnxFile) -> Classifier:
    """The same, of a file that was read."""
    facts = file.facts
    if facts.task != "classification":
        message = f"{file.path} is of a {facts.task}, which knows no classes"
        raise DataError(Finding("no-classifier", "error", message))
    run = _running(file, [None, 3, *facts.size])

    def one(picture: UInt8[np.ndarray, "_ _ _"]) -> Float32[np.ndarray, "3 h w"]:
        brought = resized(picture.astype(np.float32) / np.float32(255), facts.size)
        return np.repeat(brought, 3, axis=0) if len(brought) == 1 else brought

    def probabilities(pictures: Small) -> Float32[np.ndarray, "n k"]:
        parts = (pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH))
        found = [run(np.stack([one(picture) for picture in part])) for part in parts]
        return np.concatenate([np.zeros((0, len(facts.names)), dtype=np.float32), *found])

    return Classifier(facts.size, facts.names, file.digest, probabilities)


def _running(
    file: OnnxFile, expected: list[int | None]
) -> Callable[[Float32[np.ndarray, "b 3 h w"]], Float32[np.ndarray, "b *rest"]]:
    """The network as a function, after a look at what it takes and gives; None: any number."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_threads()
    options.log_severity_level = 4  # what is wrong comes as an exception
    try:
        session = onnxruntime.InferenceSession(
            file.content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions have no other parent
        raise _not_run(file.path, error) from None
    takes, gives = session.get_inputs(), session.get_outputs()
    names = [i.name for i in takes], [o.name for o in gives]
    shape = [side if isinstance(side, int) else None for side in takes[0].shape] if takes else []
    if names != ([INPUT], [OUTPUT]) or shape != expected or takes[0].type != "tensor(float)":
        wanted = " x ".join("any" if side is None else str(side) for side in expected)
        message = f"{file.path} does not take pictures as {INPUT}, {wanted}, and give {OUTPUT}"
        raise refusal("foreign-onnx", message)
    classes = len(file.facts.names)

    def run(images: Float32[np.ndarray, "b 3 h w"]) -> Float32[np.ndarray, "b *rest"]:
        try:
            found: Float32[np.ndarray, "b *rest"] = session.run(None, {INPUT: images})[0]
        except Exception as error:
            raise _not_run(file.path, error) from None
        pixels = images.shape[2:] if file.facts.task == "segmentation" else ()
        if found.shape != (len(images), classes, *pixels) or found.dtype != np.float32:
            message = f"{file.path} does not give a probability for each of its {classes} classes"
            raise refusal("foreign-onnx", message)
        return found

    return run


def _not_run(path: Path, error: Exception) -> Exception:
    """What ONNX Runtime says, in a line; or that memory ran out."""
    said = (str(error).splitlines() or [""])[0]
    if "alloc" in said.lower():
        return MemoryError(said)
    return refusal("onnx-not-run", f"ONNX Runtime cannot run {path}: {said[:300]}")
