"""What is installed, what is missing, and what a run would have to work with."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from headstart.system.packages import WANTED, Package, import_all, judged
from headstart.system.processor import Cores, Memory, cores, cpu_model, memory


@dataclass(frozen=True)
class Device:
    """An accelerator that torch sees; ``memory`` in bytes."""

    name: str
    memory: int
    bf16: bool


@dataclass(frozen=True)
class Place:
    """A file system: what for, which folder, and the bytes that are free and that it holds."""

    use: str
    folder: str
    free: int
    size: int


@dataclass(frozen=True)
class Tool:
    """A program beside headstart; ``path`` is None where it is not found."""

    name: str
    use: str
    path: str | None


@dataclass(frozen=True)
class Health:
    """What [`examine`][] found.

    Attributes:
        python, headstart: versions.
        packages: required ones first.
        cpu, cores, memory: of the machine and of this process.
        devices: accelerators; None where nothing was loaded, or torch does not load.
        cpu_bf16: whether the processor computes in bfloat16; None as for ``devices``.
        places: where files go.
        tools: programs that some verbs and tests use.
        completion: the shell that is used, and whether it completes headstart's words.
    """

    python: str
    headstart: str
    packages: tuple[Package, ...]
    cpu: str
    cores: Cores
    memory: Memory
    devices: tuple[Device, ...] | None
    cpu_bf16: bool | None
    places: tuple[Place, ...]
    tools: tuple[Tool, ...]
    completion: tuple[str, bool]

    @property
    def ok(self) -> bool:
        """Whether all that is required works, and nothing installed has a known hole."""
        return all(its.verdict == "ok" for its in self.packages if its.extra is None) and not any(
            its.verdict == "too old" for its in self.packages
        )

    def to_json(self) -> dict[str, Any]:
        """As an object of schema 1."""
        shell, installed = self.completion
        about = {**asdict(self), "completion": {"shell": shell, "installed": installed}}
        return {"schema": 1, "ok": self.ok, **about}


def examine(load: bool = True) -> Health:
    """Looks at everything.

    Args:
        load: import every package, which takes seconds, and ask torch for devices; else versions
            are looked up, no more.
    """
    there = {its.name: _version(its.name) for its in WANTED}
    modules = [its.module for its in WANTED if there[its.name]]
    answers = import_all(modules) if load else {}
    packages = (judged(its, there[its.name], answers.get(its.module)) for its in WANTED)
    seen = answers.get("devices")
    devices = seen and tuple(Device(**its) for its in seen["devices"])
    return Health(
        python=platform.python_version(),
        headstart=_version("headstart") or "a checkout that is not installed",
        packages=tuple(sorted(packages, key=lambda its: its.extra is not None)),
        cpu=cpu_model(),
        cores=cores(),
        memory=memory(),
        devices=devices,
        cpu_bf16=seen and seen["cpu_bf16"],
        places=tuple(_places()),
        tools=tuple(_tools()),
        completion=_completion(),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def weights_folder() -> Path:
    """Where torch keeps published weights: as ``torch.hub.get_dir()``, without torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _places() -> Iterable[Place]:
    for use, folder in (
        ("here", Path.cwd()),
        ("published weights", weights_folder()),
        ("shared memory", Path("/dev/shm")),
    ):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if use == "shared memory" and there != folder:
            continue
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(there)
            yield Place(use, str(folder), usage.free, usage.total)


def _tools() -> Iterable[Tool]:
    chromium = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for name, use, names in (
        ("pdflatex", "report.pdf of homework", ("pdflatex",)),
        ("chromium", "tests of the page", chromium),
    ):
        yield Tool(name, use, next(filter(None, map(shutil.which, names)), None))


def _completion() -> tuple[str, bool]:
    """The user's shell, and whether typer has installed completion of headstart for it."""
    shell = Path(os.environ.get("SHELL", "")).name
    files = {
        "bash": ".bash_completions/headstart.sh",
        "zsh": ".zfunc/_headstart",
        "fish": ".config/fish/completions/headstart.fish",
    }
    return shell, shell in files and (Path.home() / files[shell]).exists()
