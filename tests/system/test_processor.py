"""What may be used of a machine, as Linux and its containers say it."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.system import processor
from headstart.system.processor import (
    Memory,
    available_memory,
    available_threads,
    cores,
    cpu_model,
    memory,
    multiplies_bfloat16,
    process_memory,
    spin_briefly,
)


def test_limits_of_containers_are_seen(tmp_path: Path) -> None:
    assert cores(tmp_path).limit is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cores(tmp_path).limit == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path).limit is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("200000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cores(tmp_path).limit == 2.0


@pytest.mark.parametrize("version", [1, 2])
def test_limits_of_jobs_are_seen(tmp_path: Path, version: int) -> None:
    """A scheduler's job is in a group below the root; of its limits the smallest counts."""
    (tmp_path / "self").mkdir()
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemAvailable:   900 kB\n")
    lines = "0::/slurm/job_7/step_0\n" if version == 2 else "9:cpu,cpuacct:/slurm/job_7\n"
    lines += "" if version == 2 else "4:memory:/slurm/job_7/step_0\n"
    (tmp_path / "self" / "cgroup").write_text(lines)
    cpu = tmp_path / ("cpu/slurm" if version == 1 else "slurm") / "job_7"
    of_memory = tmp_path / ("memory/slurm" if version == 1 else "slurm") / "job_7"
    (of_memory / "step_0").mkdir(parents=True)
    cpu.mkdir(parents=True, exist_ok=True)
    if version == 1:
        (cpu / "cpu.cfs_quota_us").write_text("300000")
        (cpu / "cpu.cfs_period_us").write_text("100000")
    else:
        (cpu / "cpu.max").write_text("300000 100000\n")
    limit = "memory.max" if version == 2 else "memory.limit_in_bytes"
    used = "memory.current" if version == 2 else "memory.usage_in_bytes"
    for folder, size in ((of_memory, 500_000), (of_memory / "step_0", 700_000)):
        (folder / limit).write_text(f"{size}\n")
        (folder / used).write_text("100000\n")
        (folder / "memory.stat").write_text("")
    assert cores(tmp_path, tmp_path).limit == 3.0
    assert memory(tmp_path, tmp_path).limit == 500_000
    assert available_memory(tmp_path, tmp_path) == 400_000


@pytest.mark.parametrize(
    ("quota", "threads"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8)],
)
def test_threads_keep_to_the_quota_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, threads: int
) -> None:
    monkeypatch.setattr(processor.os, "sched_getaffinity", lambda _: set(range(8)))
    assert available_threads(tmp_path) == 8
    (tmp_path / "cpu.max").write_text(quota)
    assert available_threads(tmp_path) == threads


def test_memory_and_its_limit(tmp_path: Path) -> None:
    assert memory(tmp_path, tmp_path) == Memory(None, None, None)
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemAvailable:   250 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path, tmp_path) == Memory(1_024_000, 256_000, None)
    (tmp_path / "memory.max").write_text("500000\n")
    assert memory(tmp_path, tmp_path).limit == 500_000
    (tmp_path / "memory.max").write_text(f"{1 << 62}\n")
    assert memory(tmp_path, tmp_path).limit is None


def test_what_processes_could_take_keeps_to_the_limit(tmp_path: Path) -> None:
    assert available_memory(tmp_path, tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemAvailable:   250 kB\n")
    assert available_memory(tmp_path, tmp_path) == 256_000
    (tmp_path / "memory.max").write_text("500000\n")
    (tmp_path / "memory.current").write_text("480000\n")
    files = "anon 400000\ninactive_file 60000\nactive_file 10000\n"
    (tmp_path / "memory.stat").write_text(files)
    assert available_memory(tmp_path, tmp_path) == 90_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(tmp_path, tmp_path) == 256_000


def test_the_limit_of_older_containers(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemAvailable:   250 kB\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("500000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("480000\n")
    files = "active_file 1\ninactive_file 2\ntotal_active_file 10000\ntotal_inactive_file 60000\n"
    (tmp_path / "memory" / "memory.stat").write_text(files)
    assert available_memory(tmp_path, tmp_path) == 90_000


def test_files_in_memory_are_not_the_processes_own(tmp_path: Path) -> None:
    assert process_memory(tmp_path) is None
    (tmp_path / "self").mkdir()
    status = "VmHWM: 90 kB\nVmRSS: 70 kB\nRssAnon: 40 kB\nRssFile: 25 kB\nRssShmem: 5 kB\n"
    (tmp_path / "self" / "status").write_text(status)
    assert process_memory(tmp_path) == (65 * 1024, 45 * 1024)


def test_a_process_takes_what_it_allocates() -> None:
    before = process_memory()
    if before is None:
        pytest.skip("needs Linux")
    with mmap.mmap(-1, 64_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        for start in range(0, len(block), 4096):
            block[start] = 1
        after = process_memory()
    assert after is not None and after[1] - before[1] > 50_000_000 and after[0] >= after[1]


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some CPU @ 2: GHz\n")
    assert cpu_model(tmp_path) == "Some CPU @ 2: GHz"
    assert cpu_model(tmp_path / "absent")


def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise() -> None:
    environ: dict[str, str] = {}
    spin_briefly(environ)
    assert environ == {"GOMP_SPINCOUNT": "1000"}
    for chosen in ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}):
        kept = dict(chosen)
        spin_briefly(kept)
        assert kept == chosen


def test_it_is_set_before_torch_is_loaded() -> None:
    code = "import headstart, os, sys; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    environ = {
        k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stdout.split() == ["1000", "False"], done.stderr


@pytest.mark.parametrize(
    ("flags", "multiplies"),
    [
        ("fpu avx512f amx_tile", False),
        ("fpu avx512f avx512_bf16", True),
        ("amx_bf16 amx_tile amx_int8", True),
    ],
)
def test_bfloat16_is_read_from_the_flags(tmp_path: Path, flags: str, multiplies: bool) -> None:
    assert not multiplies_bfloat16(tmp_path)
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    assert multiplies_bfloat16(tmp_path) == multiplies
