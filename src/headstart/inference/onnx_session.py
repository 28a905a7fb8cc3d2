"""Running the network of an ONNX file with ONNX Runtime; torch is not loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from headstart.errors import Finding, UsageError
from headstart.inference.onnx_file import OnnxFile, refusal
from headstart.system.processor import available_threads

INPUT, OUTPUT = "image", "probabilities"


def check_device(device: str) -> None:
    """Refuse a device on which this package does not run ONNX files.

    Raises:
        UsageError: it is neither ``"auto"`` nor ``"cpu"``.
    """
    if device not in ("auto", "cpu"):
        message = f"ONNX files run on the CPU, not on {device}"
        hint = "leave out --device, or give the run's folder: PyTorch runs it on a GPU"
        raise UsageError(Finding("onnx-on-cpu", "error", message, hint))


def start_session(
    file: OnnxFile, expected: list[int | None], per_pixel: bool, mirror: bool
) -> Callable[[Float32[np.ndarray, "b 3 h w"]], Float32[np.ndarray, "b *rest"]]:
    """Return the network of a file as a function from pictures to probabilities.

    Args:
        file: the file, read and checked.
        expected: the shape of its input; None is any number.
        per_pixel: whether it must give probabilities for each pixel, or for each picture.
        mirror: whether to return the mean over each picture and its mirror image.

    Raises:
        DataError: ONNX Runtime cannot run the file, or its input or output is another one. The
            function raises it too.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_threads()
    options.log_severity_level = 4  # errors come as exceptions
    try:
        session = onnxruntime.InferenceSession(
            file.content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions share no other parent
        raise _not_run(file.path, error) from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    names = [i.name for i in inputs], [o.name for o in outputs]
    shape = [side if isinstance(side, int) else None for side in inputs[0].shape] if inputs else []
    if names != ([INPUT], [OUTPUT]) or shape != expected or inputs[0].type != "tensor(float)":
        wanted = " x ".join("any" if side is None else str(side) for side in expected)
        message = f"{file.path} does not map pictures named {INPUT}, {wanted}, to {OUTPUT}"
        raise refusal("foreign-onnx", message)
    classes = len(file.facts.names)

    def run(images: Float32[np.ndarray, "b 3 h w"]) -> Float32[np.ndarray, "b *rest"]:
        try:
            probs: Float32[np.ndarray, "b *rest"] = session.run(None, {INPUT: images})[0]
        except Exception as error:
            raise _not_run(file.path, error) from None
        pixels = images.shape[2:] if per_pixel else ()
        if probs.shape != (len(images), classes, *pixels) or probs.dtype != np.float32:
            message = f"{file.path} does not give a probability for each of its {classes} classes"
            raise refusal("foreign-onnx", message)
        return probs

    def run_mirrored(images: Float32[np.ndarray, "b 3 h w"]) -> Float32[np.ndarray, "b *rest"]:
        mirrored = run(np.ascontiguousarray(images[..., ::-1]))
        mean: Float32[np.ndarray, "b *rest"] = run(images)
        mean += mirrored[..., ::-1] if per_pixel else mirrored
        mean /= 2
        return mean

    return run_mirrored if mirror else run


def _not_run(path: Path, error: Exception) -> Exception:
    """Return the first line of ONNX Runtime's error as ours; or that memory ran out."""
    line = (str(error).splitlines() or [""])[0]
    if "alloc" in line.lower():
        return MemoryError(line)
    return refusal("onnx-not-run", f"ONNX Runtime cannot run {path}: {line[:300]}")
