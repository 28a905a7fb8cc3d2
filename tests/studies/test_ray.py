"""Studies on Ray: on a Ray of their own, and on a cluster of two nodes, one of which is killed."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headstart.config.records import StudyConfig
from headstart.errors import DiskError, MissingExtraError, UsageError
from headstart.studies.backends import Backend
from headstart.studies.ray_cluster import RayCluster
from headstart.studies.ray_connection import Connection
from headstart.studies.study import study
from headstart.studies.units import Unit
from headstart.studies.worker import train_unit
from headstart.system import attempts as attempts_module
from headstart.system import claims
from headstart.system.attempts import attempts, holder_of
from headstart.system.signals import Stopping
from headstart.verbs.study import study as study_verb
from tests.studies.test_study import tiny_study
from tests.tiny_runs import Silent

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of its next versions
]
OPTIONS = (
    "--starts", "scratch,colorization", "--labels", "6", "--seeds", "1", "--size", "16x24",
    "--width", "2", "--threads", "1", "--device", "cpu", "--precision", "float32",
    "--epochs", "2", "--pretext-epochs", "2", "--checkpoint-seconds", "0.01", "--on", "ray",
)  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes on this machine, each with one CPU; they listen on the loopback address only."""
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        for name, value in {**quiet, "RAY_TMPDIR": folder}.items():
            patched.setenv(name, value)
        patched.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        made = Cluster(initialize_head=True, head_node_args=node)
        made.second = made.add_node(**node)
        yield made
        made.shutdown()


def command(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "headstart", "study", str(data), "--out", str(out), *OPTIONS]
    pipe = subprocess.PIPE
    return subprocess.Popen([*words, *more], stdout=pipe, stderr=pipe, text=True)


def until(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it took too long")


def status_of(pid: int) -> tuple[str, int] | None:
    """The state of a process, and its parent; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (fields[0], int(fields[1]))


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    of = {number: status[1] for number in numbers if (status := status_of(number))}
    found = {pid}
    while more := {number for number, parent in of.items() if parent in found} - found:
        found |= more
    return found


def holders(out: Path) -> dict[str, int]:
    """The process that trains each unit."""
    found = {}
    for path in out.glob("claims/*/*/*/holder.json"):
        held = holder_of(path.parent)
        if held is not None and held.executor == "ray" and not (path.parent / "end.json").exists():
            found[path.parent.parent.relative_to(out / "claims").as_posix()] = held.pid
    return found


def listening(pids: set[int]) -> set[str]:
    """The addresses, in hexadecimal digits, at which processes wait for others."""
    sockets = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                sockets.add(str(entry.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].split(":")[0])
    return found


def test_a_ray_of_its_own_is_for_this_machine_and_ends_with_the_command(
    drawn: Path, tmp_path: Path
) -> None:
    out, before = tmp_path / "S", set(Path(tempfile.gettempdir()).glob("headstart-ray-*"))
    child = command(drawn, out)
    until(lambda: holders(out))
    pids = family(child.pid)
    assert len(pids) > 4
    addresses = listening(pids)
    assert addresses and all(address.endswith("0100007F") for address in addresses)
    child.send_signal(signal.SIGTERM)
    said, warned = child.communicate(timeout=120)
    assert child.returncode == 143, warned
    assert "same command" in warned
    assert not any(word in said + warned for word in ("raylet", "gcs", "Traceback", "Warning"))
    until(lambda: not any(status_of(pid) for pid in pids))
    assert set(Path(tempfile.gettempdir()).glob("headstart-ray-*")) == before
    began = {path.parent.parent for path in out.glob("claims/*/*/*/holder.json")}
    endings = [
        attempts(out, path.relative_to(out / "claims").as_posix())[-1].ending for path in began
    ]
    assert endings and all(e and e.outcome in ("interrupted", "released") for e in endings)


def test_a_killed_driver_and_a_lost_node_change_nothing(
    cluster: Any, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, told = tmp_path / "S", list[str]()
    child = command(drawn, out, "--ray", cluster.address)
    at_work = until(lambda: holders(out))
    child.kill()
    child.communicate()
    until(lambda: not any(status_of(pid) for pid in at_work.values()), 20)

    raylet = cluster.second.all_processes["raylet"][0].process.pid
    killed = list[tuple[str, str | None]]()

    def kill_node() -> None:
        def trains_there() -> str | None:
            there = family(raylet)
            for name, pid in holders(out).items():
                if pid in there and (out / name / "metrics.jsonl").exists():  # an epoch is over
                    return name
            return None

        unit = until(trains_there)
        for process in sorted(family(raylet)):
            os.kill(process, signal.SIGKILL)
        killed.append((unit, attempts(out, unit)[-1].holder.job))

    # to this process, the nodes are other machines: what died is known from Ray alone
    monkeypatch.setattr(attempts_module, "this_machine", lambda: "another")
    monkeypatch.setattr(
        claims, "DEAD_AFTER", 900.0
    )  # longer than the test, however busy it is here
    killer = threading.Thread(target=kill_node)
    for number in list(holders(out)):  # the killed driver's, which only silence betrays
        for attempt in attempts(out, number):
            (attempt.folder / "end.json").write_text('{"outcome": "died"}')
    killer.start()
    began = time.monotonic()
    config = config_of(out)
    there = Backend(on="ray", ray=cluster.address)
    study(config, out, Silent(), told.append, checkpoint_seconds=0.01, backend=there)
    assert time.monotonic() - began < claims.DEAD_AFTER, "the lost node's claim was not waited for"
    killer.join()
    ((_, job),) = killed
    assert job and any("node" in line for line in told), told

    whole = tmp_path / "whole"
    study(config, whole, Silent(), lambda _: None)
    assert contents(out) == contents(whole)
    lines = [line for line in told if line.startswith("[")]
    assert len(lines) == len(set(lines)) <= 2
    assert not (out / "claims").exists()
    for path in out.glob("*/*/environment.json"):
        assert json.loads(path.read_text())["executor"] == "ray"


def config_of(out: Path) -> StudyConfig:
    from headstart.config.files import read_study_config

    return read_study_config(out / "config.json")


def contents(out: Path) -> dict[str, bytes]:
    found = [out / "study.json", *out.glob("runs/*/frames.csv")]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def executor(cluster: Any, out: Path, *paths: Path, threads: int = 1) -> RayCluster:
    train = functools.partial(train_unit, study=out)
    return RayCluster(train, out, paths, threads, address=cluster.address)


def test_workers_need_no_copy_of_the_working_folder(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private.runtime_env import uv_runtime_env_hook

    asked: list[object] = []
    monkeypatch.setattr(uv_runtime_env_hook, "_get_uv_run_cmdline", lambda: ["uv", "run"])
    monkeypatch.setattr(uv_runtime_env_hook, "hook", asked.append)
    Connection(cluster.address).close()
    assert not asked


def test_what_no_node_has_is_refused_at_once(cluster: Any, drawn: Path, tmp_path: Path) -> None:
    config = tiny_study(drawn, threads=64)
    with pytest.raises(UsageError, match=r"request-too-large.*64 CPUs.*has 1 CPU\b") as caught:
        there = Backend(on="ray", ray=cluster.address)
        study(config, tmp_path / "S", Silent(), lambda _: None, backend=there)
    assert "--threads 1" in str(caught.value) and not (tmp_path / "S").exists()


def test_a_worker_that_does_not_see_a_folder_says_so(cluster: Any, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    ours = Path(f"/proc/self/fd/{folder}/data")  # another process has another file there, or none
    (tmp_path / "data").mkdir()
    assert ours.exists()
    made = executor(cluster, tmp_path, ours)
    with pytest.raises(DiskError, match=rf"folder-not-seen.* does not see {ours}"):
        made.submit(Unit(name="runs/a", about="a"))
    made.close()
    os.close(folder)
    assert not list(tmp_path.glob(".seen-*"))
    made = executor(cluster, tmp_path)  # the folder is there, but no study is in it
    made.submit(Unit(name="runs/a", about="a"))
    (end,) = until(lambda: made.ends(0.1))
    assert end.error is not None and "no-such-unit" in str(end.error) and end.job
    places = made.places
    cluster.add_node(num_cpus=1, num_gpus=0, object_store_memory=80 * 2**20)
    until(lambda: made.ends(0.1) == [] and made.places == places + 1)
    for ended in (made.close, made.close):
        with Stopping() as stopping:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stopping.asked(), "Ray leaves our handlers where they are"
        ended()


def test_a_node_without_a_package_of_the_study_is_named(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "only_here-1.2.dist-info" / "METADATA"
    installed.parent.mkdir()
    installed.write_text("Metadata-Version: 2.1\nName: only-here\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(tmp_path)
    there = RayCluster(train_unit, tmp_path, (), 1, address=cluster.address, packages=["only-here"])
    try:
        with pytest.raises(DiskError, match=r"node-differs.*no only-here; expected.*only-here 1.2"):
            there.submit(Unit(name="runs/a", about="a"))
    finally:
        there.close()


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "here", "127.0.0.1:9"])
def test_an_address_where_no_cluster_answers_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"no-ray.*{address}"):
        RayCluster(train_unit, tmp_path, (), 1, address=address)


def test_something_else_that_answers_is_refused(cluster: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as asked:
                asked.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                asked.recv(100)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(UsageError, match=r"no-ray.*is not Ray"):
            RayCluster(train_unit, tmp_path, (), 1, address=f"127.0.0.1:{server.getsockname()[1]}")


def test_the_extra_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"headstart\[ray\]"):
        RayCluster(train_unit, tmp_path, (), 1)
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_an_address_without_ray_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ray-unused"):
        study_verb(tmp_path, ray="auto")
