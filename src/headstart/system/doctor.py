"""What ``headstart doctor`` reports: packages, processor, memory, devices, disks and tools."""

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
    """An accelerator that torch sees; ``memory`` is in bytes, ``device`` is its ``--device``."""

    name: str
    memory: int
    bf16: bool
    device: str


@dataclass(frozen=True)
class Place:
    """A folder that headstart uses, and its disk's free and total bytes."""

    use: str
    folder: str
    free: int
    size: int


@dataclass(frozen=True)
class Tool:
    """A program that headstart can use; ``path`` is None where it is not installed."""

    name: str
    use: str
    path: str | None


@dataclass(frozen=True)
class Health:
    """The report of [`examine`][].

    Attributes:
        python, headstart: versions.
        packages: the packages, required ones first.
        cpu, cores, memory: the machine, and what this process may use of it.
        devices: the accelerators; None where torch was not loaded or does not load.
        cpu_bf16: whether the processor computes in bfloat16; None as for ``devices``.
        places: the folders that headstart uses.
        tools: the programs that some verbs and tests use.
        completion: the user's shell, and whether completion is installed for it.
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
        """Whether every required package works and no installed package is too old."""
        required = [package for package in self.packages if package.extra is None]
        return all(package.verdict == "ok" for package in required) and not any(
            package.verdict == "too old" for package in self.packages
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as an object of schema 1."""
        shell, installed = self.completion
        fields = {**asdict(self), "completion": {"shell": shell, "installed": installed}}
        return {"schema": 1, "ok": self.ok, **fields}


def examine(load: bool = True) -> Health:
    """Examine the installation and the machine.

    Args:
        load: import every package and ask torch for its devices, which takes seconds; without it
            only the versions are looked up.
    """
    versions = {wanted.name: _version(wanted.name) for wanted in WANTED}
    modules = [wanted.module for wanted in WANTED if versions[wanted.name]]
    answers = import_all(modules) if load else {}
    packages = (judged(w, versions[w.name], answers.get(w.module)) for w in WANTED)
    torch_sees = answers.get("devices")
    devices = torch_sees and tuple(Device(**device) for device in torch_sees["devices"])
    return Health(
        python=platform.python_version(),
        headstart=_version("headstart") or "not installed (a checkout)",
        packages=tuple(sorted(packages, key=lambda package: package.extra is not None)),
        cpu=cpu_model(),
        cores=cores(),
        memory=memory(),
        devices=devices,
        cpu_bf16=torch_sees and torch_sees["cpu_bf16"],
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
    """Return the folder of published weights, ``torch.hub.get_dir()``, without loading torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _places() -> Iterable[Place]:
    for use, folder in (
        ("here", Path.cwd()),
        ("published weights", weights_folder()),
        ("shared memory", Path("/dev/shm")),
    ):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if use == "shared memory" and existing != folder:
            continue
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(existing)
            yield Place(use, str(folder), usage.free, usage.total)


def _tools() -> Iterable[Tool]:
    chromium = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for name, use, names in (
        ("pdflatex", "homework's report.pdf", ("pdflatex",)),
        ("chromium", "tests of the serve page", chromium),
    ):
        yield Tool(name, use, next(filter(None, map(shutil.which, names)), None))


def _completion() -> tuple[str, bool]:
    """Return the user's shell, and whether typer has installed completion for it."""
    shell = Path(os.environ.get("SHELL", "")).name
    files = {
        "bash": ".bash_completions/headstart.sh",
        "zsh": ".zfunc/_headstart",
        "fish": ".config/fish/completions/headstart.fish",
    }
    return shell, shell in files and (Path.home() / files[shell]).exists()
