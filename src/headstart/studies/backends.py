"""Where the units of a study are trained: an executor for each backend."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headstart.config.methods import start_of_arm
from headstart.config.records import StudyConfig
from headstart.config.start_names import is_published
from headstart.config.task_settings import TIMM
from headstart.studies.executor import Executor
from headstart.studies.local import Processes, ThisProcess
from headstart.studies.plan import Plan
from headstart.studies.ray_cluster import RayCluster
from headstart.studies.slurm import Slurm
from headstart.studies.worker import train_unit
from headstart.system.devices import CudaDevice
from headstart.training.listener import Listener

On = Literal["local", "slurm", "ray"]


@dataclass(frozen=True)
class Backend:
    """Where the units of a study are trained.

    Attributes:
        on: ``"local"``, in processes on this machine; ``"slurm"`` or ``"ray"``.
        devices: what several processes on this machine are spread over; none: they see what this
            process sees.
        slurm: options of ``sbatch``, as [`parse_slurm`][headstart.studies.job_script.parse_slurm]
            returns them.
        ray: address of the Ray cluster to join; None: Ray is started on this machine.
    """

    on: On = "local"
    devices: tuple[CudaDevice, ...] = ()
    slurm: Mapping[str, str] = field(default_factory=dict)
    ray: str | None = None


HERE = Backend()
"""Processes on this machine."""


def executor_of(
    backend: Backend,
    jobs: int | None,
    planned: Plan,
    out: Path,
    listener: Listener,
    seconds: float,
    tell: Callable[[str], None],
) -> Executor:
    """Return the executor of a backend; a single run at a time is trained in this process.

    Args:
        backend: where to train.
        jobs: how many runs at a time; None: one, or as many as a cluster starts.
        planned: plan of the study.
        out: folder of the study.
        listener: receives progress events of trainings in this process.
        seconds: between checkpoints of a run.
        tell: receives lines about memory, jobs and the like.

    Raises:
        HeadstartError: there is no such cluster, or it has not what a run asks for.
    """
    if backend.on == "slurm":
        return slurm_of(backend, jobs, planned.config, out, seconds, tell)
    there = functools.partial(train_unit, study=out, checkpoint_seconds=seconds)
    if backend.on == "ray":
        config = planned.config
        starts = (Path(start_of_arm(arm)) for arm in config.starts)
        paths = [Path(config.data), *(path for path in starts if path.exists())]
        wanted = packages_of(config)
        device, address = config.device, backend.ray
        return RayCluster(there, out, paths, config.threads, device, address, jobs, wanted)
    if jobs is not None and jobs > 1:
        return Processes(there, jobs, backend.devices, tell)
    opened = functools.partial(there, dataset=planned.dataset, pictures=planned.pictures)
    return ThisProcess(functools.partial(opened, logs=False, listener=listener))


def packages_of(config: StudyConfig) -> list[str]:
    """Return the packages that a study needs besides what headstart requires, by their names.

    These are timm, for its networks, and the package with the published weights that a start takes.
    """
    from headstart.models.packaged_weights import PACKAGED, packaged_file  # loads PyTorch

    wanted = ["timm"] if config.model.startswith(TIMM) else []
    published = any(is_published(start_of_arm(arm)) for arm in config.starts)
    if published and packaged_file(config.model) is not None:
        wanted.append(PACKAGED[config.model].module)
    return wanted


def slurm_of(
    backend: Backend,
    jobs: int | None,
    config: StudyConfig,
    out: Path,
    seconds: float,
    tell: Callable[[str], None],
) -> Slurm:
    """Return the executor that trains a study as jobs of SLURM.

    Raises:
        HeadstartError: this machine has no SLURM.
    """
    return Slurm(out, backend.slurm, config.threads, config.device == "cuda", jobs, seconds, tell)
