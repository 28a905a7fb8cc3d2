"""What may be used of a machine, as Linux and its containers say it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.system import processor
from headstart.system.processor import (
    Memory,
    available_threads,
    cores,
    cpu_model,
    memory,
    multiplies_bfloat16,
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
