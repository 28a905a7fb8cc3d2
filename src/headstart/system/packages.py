"""The packages that headstart uses: which versions will do, and whether they load.

A package is imported, not only looked up: one that is installed and does not load is the commonest
fault. That happens in a process of its own, which may die of it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Literal

from headstart.errors import Finding, MissingExtraError

Verdict = Literal["ok", "missing", "broken", "too old"]

_PATIENCE = 300.0  # seconds for all imports; a cold disk and a busy machine take one minute


@dataclass(frozen=True)
class Wanted:
    """A package that headstart uses.

    Attributes:
        name: as it is installed.
        module: as it is imported.
        least: the lowest version that is known to work.
        extra: the extra that brings it; None: it is required.
        hole: why nothing older may be used, where that is a matter of safety.
    """

    name: str
    module: str
    least: str
    extra: str | None = None
    hole: str = ""


WANTED = (
    Wanted("filelock", "filelock", "4.3"),
    Wanted("jaxtyping", "jaxtyping", "0.3.2"),
    Wanted("jinja2", "jinja2", "3.1"),
    Wanted("matplotlib", "matplotlib", "3.10"),
    Wanted("numpy", "numpy", "2.1"),
    Wanted("pillow", "PIL", "13", hole="older ones run over their memory on a crafted picture"),
    Wanted("pooch", "pooch", "1.8"),
    Wanted("pydantic", "pydantic", "2.11"),
    Wanted("rich", "rich", "14"),
    Wanted("safetensors", "safetensors", "0.6"),
    Wanted("scipy", "scipy", "1.15"),
    Wanted("torch", "torch", "2.11", hole="before 2.10 a file of weights can run code"),
    Wanted("torchvision", "torchvision", "0.26"),
    Wanted("typer", "typer", "0.20"),
    Wanted("av", "av", "16", "video"),
    Wanted("onnx", "onnx", "1.21", "onnx", "older ones follow paths out of a file's folder"),
    Wanted("onnxruntime", "onnxruntime", "1.20", "onnx"),
    Wanted("onnxscript", "onnxscript", "0.5", "onnx"),
    Wanted("fastapi", "fastapi", "0.130", "serve"),
    Wanted("uvicorn", "uvicorn", "0.40", "serve"),
)


@dataclass(frozen=True)
class Package:
    """What was found of a package.

    Attributes:
        name, extra: as in [`Wanted`][].
        version: None where it is missing.
        verdict: whether it can be used.
        do: what to do where it cannot.
    """

    name: str
    extra: str | None
    version: str | None
    verdict: Verdict
    do: str


def require(extra: str, *modules: str) -> None:
    """Refuses to go on without what an extra brings.

    Args:
        extra: its name.
        modules: which of its modules are needed; by default all.

    Raises:
        MissingExtraError: with the command that installs them.
    """
    missing = []
    for name in modules or [w.module for w in WANTED if w.extra == extra]:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        message = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        hint = f'pip install "headstart[{extra}]"'
        raise MissingExtraError(Finding("missing-extra", "error", message, hint))


# Says of each module, as soon as that is known, how its import ended.
_PROBE = """\
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
def devices(torch):
    cuda, found = torch.cuda, []
    for k in range(cuda.device_count() if cuda.is_available() else 0):
        its = cuda.get_device_properties(k)
        found.append({"name": its.name, "memory": its.total_memory, "bf16": its.major >= 8})
    words = open("/proc/cpuinfo").read() if sys.platform == "linux" else ""
    cpu_bf16 = any(word in words for word in ("avx512_bf16", "amx_bf16", " bf16"))
    print(json.dumps(["devices", {"devices": found, "cpu_bf16": cpu_bf16}]), flush=True)
for name in sys.argv[1:]:
    print(json.dumps([name, "the process died of it"]), flush=True)
    try:
        module = importlib.import_module(name)
        print(json.dumps([name, ""]), flush=True)
        if name == "torch" and hasattr(module, "cuda"):
            devices(module)
    except BaseException as e:
        print(json.dumps([name, f"{type(e).__name__}: {e}".splitlines()[0][:200]]), flush=True)
"""


def import_all(modules: list[str]) -> dict[str, Any]:
    """How each import ended: empty text where it went well, else why it did not.

    Under ``devices`` what torch sees, where it was imported.
    """
    answers: dict[str, Any] = {}
    left = list(modules)
    while left:
        command = [sys.executable, "-c", _PROBE, *left]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_PATIENCE, check=False
            )
            said = done.stdout
        except subprocess.TimeoutExpired as e:
            said = e.stdout.decode() if isinstance(e.stdout, bytes) else e.stdout or ""
        before = len(left)
        for line in said.splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a package may print, too
                name, answer = json.loads(line)
                answers[name] = answer
        left = [name for name in left if name not in answers]
        if len(left) == before:  # the interpreter itself does not start
            answers |= dict.fromkeys(left, "the process died before it")
            break
    return answers


def judged(wanted: Wanted, found: str | None, answer: str | None) -> Package:
    """``answer`` is how the import ended; None: it was not tried."""

    def verdict(its: Verdict, do: str) -> Package:
        return Package(wanted.name, wanted.extra, found, its, do)

    command = f'pip install "{wanted.name}>={wanted.least}"'
    if wanted.extra is not None:
        command = f'pip install "headstart[{wanted.extra}]"'
    if found is None:
        return verdict("missing", command)
    if _numbers(found) < _numbers(wanted.least):
        why = f" ({wanted.hole})" if wanted.hole else ""
        command = f'pip install "{wanted.name}>={wanted.least}"'
        return verdict("too old", f"at least {wanted.least}{why}: {command}")
    if answer:
        again = f"pip install --force-reinstall {wanted.name}"
        return verdict("broken", f"{answer}; {again}")
    return verdict("ok", "" if answer is not None else "installed, not loaded")


def _numbers(text: str) -> tuple[int, ...]:
    """Of a version, to be compared: what is local or pre-release is left out.

    >>> _numbers("2.15.0+cpu") >= _numbers("2.11"), _numbers("13.0.0rc1") >= _numbers("13")
    (True, True)
    """
    release = re.match(r"\d+(?:\.\d+)*", text)
    parts = [int(part) for part in release[0].split(".")] if release else []
    return tuple(parts + [0] * (4 - len(parts)))
