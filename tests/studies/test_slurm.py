"""Units as jobs of SLURM: with commands that answer as SLURM does, and on a real one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import Finding, HeadstartError, InterruptedRun, UsageError
from headstart.studies import slurm as slurm_module
from headstart.studies.coordinator import Coordinator
from headstart.studies.job_script import Ended, Queued, SlurmError, queue
from headstart.studies.slurm import Slurm, name_of
from headstart.studies.status import study_status
from headstart.studies.units import Unit
from headstart.system.attempts import attempts
from headstart.system.signals import Stopping
from tests.cli.command import headstart

REPOSITORY = Path(__file__).parents[2]
CLUSTER = REPOSITORY.parent / "shared/slurm/cluster"


class Answers:
    """SLURM's answers; units that are submitted wait until the test says otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 1001) -> None:
        self.queued: dict[str, Queued] = {}
        self.ended: dict[str, Ended] = {}
        self.submitted: list[list[str]] = []
        self.limit, self.refuses = 10_000, ""
        self.cancelled: list[str] = []
        monkeypatch.setattr(slurm_module, "most_in_an_array", lambda: most)
        monkeypatch.setattr(slurm_module, "queue", self.queue)
        monkeypatch.setattr(slurm_module, "how_it_ended", lambda job: self.ended[job])
        monkeypatch.setattr(slurm_module, "ask", self.sbatch)
        monkeypatch.setattr(slurm_module, "_LEAST_PAUSE", 0.0)
        monkeypatch.setattr(slurm_module, "_SHARE", 1e9)

    def queue(self, user: int, prefix: str) -> dict[str, Queued]:
        assert user == os.getuid()
        return {job: q for job, q in self.queued.items() if q.name.startswith(prefix)}

    def sbatch(self, *words: str) -> str:
        if words[0] == "scancel":
            self.cancelled += words[1:]
            return ""
        assert words[:2] == ("sbatch", "--parsable")
        text = Path(words[2]).read_text()
        units = text.partition("units=(\n")[2].partition("\n)")[0].split()
        if self.refuses:
            raise SlurmError(Finding("slurm", "error", self.refuses))
        if len(self.queued) + len(units) > self.limit:
            message = "Job violates accounting/QOS policy (MaxSubmitJobsPerUser)"
            raise SlurmError(Finding("slurm", "error", message))
        name = next(line for line in text.splitlines() if "job-name" in line).partition("=")[2]
        self.submitted.append(units)
        job = str(10 + len(self.submitted))
        for task in range(len(units)):
            self.queued[f"{job}_{task}"] = Queued(f"{job}_{task}", name, "PENDING", "Priority")
        return f"{job}\n"

    def end(self, job: str, state: str = "COMPLETED", status: int = 0) -> None:
        del self.queued[job]
        self.ended[job] = Ended(state, status, "n1")


def executor(study: Path, told: list[str], places: int | None = None) -> Slurm:
    study.mkdir(exist_ok=True)
    return Slurm(study, {"time": "5"}, 1, False, places, 10.0, told.append)


def units(count: int) -> list[Unit]:
    return [Unit(name=f"runs/u{k}", about=f"u{k}") for k in range(count)]


def test_what_can_begin_is_one_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, told = Answers(monkeypatch), []
    slurm = executor(tmp_path / "S", told)
    for unit in units(3):
        slurm.submit(unit)
    assert slurm.ends(0.0) == []
    assert cluster.submitted == [["runs/u0", "runs/u1", "runs/u2"]]
    cluster.end("11_1")
    (end,) = slurm.ends(0.0)
    assert (end.unit, end.error, end.died, end.job) == ("runs/u1", None, "", "11_1")
    assert (tmp_path / "S/claims/slurm/1.sh").exists() and told == [
        "submitted 3 to SLURM as job 11"
    ]


def test_arrays_are_no_longer_than_slurm_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Answers(monkeypatch, most=4)
    slurm = executor(tmp_path / "S", [])
    for unit in units(10):
        slurm.submit(unit)
    slurm.ends(0.0)
    assert [len(names) for names in cluster.submitted] == [4, 4, 2]
    assert [name for names in cluster.submitted for name in names] == [u.name for u in units(10)]


def test_a_limit_on_jobs_lets_the_rest_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, told = Answers(monkeypatch), []
    cluster.limit = 3
    slurm = executor(tmp_path / "S", told)
    for unit in units(5):
        slurm.submit(unit)
    slurm.ends(0.0)
    assert sum(map(len, cluster.submitted)) == 3 and "no more jobs for now" in told[-1]
    for job in list(cluster.queued):
        cluster.end(job)
    while sum(map(len, cluster.submitted)) < 5:
        slurm.ends(0.0)
    assert [name for names in cluster.submitted for name in names] == [u.name for u in units(5)]
    cluster.limit = 0
    other = executor(tmp_path / "T", told)
    other.submit(units(1)[0])
    with pytest.raises(SlurmError, match="MaxSubmitJobs"):  # nothing of its own to wait for
        other.ends(0.0)


def test_another_coordinator_takes_up_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, told = Answers(monkeypatch), []
    first = executor(tmp_path / "S", [])
    for unit in units(3):
        first.submit(unit)
    first.ends(0.0)
    cluster.end("11_0")
    second = executor(tmp_path / "S", told)
    for unit in units(4):  # the first as it failed, the last as it is new
        second.submit(unit)
    second.ends(0.0)
    assert cluster.submitted[1:] == [["runs/u0", "runs/u3"]] and "took up 2 jobs" in told[0]
    cluster.end("11_2")
    assert [end.unit for end in second.ends(0.0)] == ["runs/u2"]
    assert name_of(tmp_path / "S") != name_of(tmp_path / "T")
    third = executor(tmp_path / "T", [])  # another study takes up none of them
    third.submit(units(2)[1])
    third.ends(0.0)
    assert cluster.submitted[2:] == [["runs/u1"]]


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("CANCELLED", 0, "was cancelled on n1 (job 11_0)"),
        ("TIMEOUT", 0, "reached its time limit"),
        ("OUT_OF_MEMORY", 0, "--slurm mem="),
        ("NODE_FAIL", 0, "lost with its machine"),
        ("FAILED", 3, "status 3 on n1 (job 11_0), saying 'No module named headstart'"),
        ("DEADLINE", 0, "ended as DEADLINE"),
    ],
)
def test_how_a_job_died_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, status: int, words: str
) -> None:
    cluster = Answers(monkeypatch)
    slurm = executor(tmp_path / "S", [])
    slurm.submit(units(1)[0])
    slurm.ends(0.0)
    (tmp_path / "S/claims/slurm/11_0.log").write_text("No module named headstart\n\n")
    cluster.end("11_0", state, status)
    (end,) = slurm.ends(0.0)
    assert words in end.died


def test_a_machine_that_does_not_see_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Answers(monkeypatch)
    slurm = executor(tmp_path / "S", [])
    slurm.submit(units(1)[0])
    slurm.ends(0.0)
    cluster.end("11_0", "FAILED", 0)  # SLURM could not open the log
    (end,) = slurm.ends(0.0)
    assert f"does it see {tmp_path / 'S/claims/slurm'}" in end.died


def test_a_job_that_would_wait_for_ever_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, told = Answers(monkeypatch), []
    slurm = executor(tmp_path / "S", told)
    slurm.submit(units(1)[0])
    slurm.ends(0.0)
    (queued,) = cluster.queued.values()
    cluster.queued["11_0"] = Queued("11_0", queued.name, "PENDING", "JobHeldUser")
    slurm.ends(0.0)
    slurm.ends(0.0)
    assert sum("scontrol release 11_0" in line for line in told) == 1
    cluster.queued["11_0"] = Queued("11_0", queued.name, "PENDING", "PartitionTimeLimit")
    with pytest.raises(HeadstartError, match=r"slurm-never.*PartitionTimeLimit"):
        slurm.ends(0.0)
    assert cluster.cancelled == ["11_0"]


def test_while_units_wait_jobs_are_looked_at_and_silence_is_borne(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit on jobs stays full, so that something always waits to be submitted."""
    cluster, told = Answers(monkeypatch), []
    monkeypatch.setattr(slurm_module, "_LEAST_PAUSE", 0.05)
    cluster.limit = 2
    slurm = executor(tmp_path / "S", told)
    for unit in units(5):
        slurm.submit(unit)
    until(lambda: slurm.ends(0.01) == [] and len(cluster.queued) == 2)
    cluster.end("11_0")
    cluster.limit = 1  # another study takes the place
    ends = until(lambda: slurm.ends(0.01))
    assert [end.unit for end in ends] == ["runs/u0"]
    tries = len(list((tmp_path / "S/claims/slurm").iterdir()))
    for _ in range(3):
        until(lambda: slurm.ends(0.06) == [])
    assert len(list((tmp_path / "S/claims/slurm").iterdir())) == tries

    def away(*_: Any) -> None:
        raise SlurmError(Finding("slurm", "error", "Unable to contact slurm controller"))

    with monkeypatch.context() as patched:
        patched.setattr(slurm_module, "queue", away)
        until(lambda: slurm.ends(0.01) == [] and any("jobs go on" in line for line in told))
    with monkeypatch.context() as patched:
        cluster.refuses = "Invalid account or account/partition combination specified"
        with pytest.raises(SlurmError, match="Invalid account"):  # which waiting does not help
            until(lambda: slurm.ends(0.01))
        cluster.refuses = "Unable to contact slurm controller (connect failure)"
        cluster.end("11_1")
        assert [end.unit for end in until(lambda: slurm.ends(0.01))] == ["runs/u1"]
        cluster.refuses, cluster.limit = "", 2
        until(lambda: slurm.ends(0.01) == [] and len(cluster.queued) == 2)
    cluster.limit = 1
    job, waiting = next(iter(cluster.queued.items()))
    cluster.queued[job] = Queued(job, waiting.name, "PENDING", "PartitionTimeLimit")
    with pytest.raises(HeadstartError, match=r"slurm-never.*PartitionTimeLimit"):
        until(lambda: slurm.ends(0.01))


def until(found: Callable[[], Any]) -> Any:
    """What a function returns once that is something; it is asked for at most ten seconds."""
    end = time.monotonic() + 10
    while not (value := found()):
        assert time.monotonic() < end
    return value


def test_ctrl_c_leaves_the_jobs_to_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, told = Answers(monkeypatch), []
    slurm = executor(tmp_path / "S", told)
    for unit in units(2):
        slurm.submit(unit)
    slurm.ends(0.0)
    slurm.stop()
    ends = slurm.ends(0.0)
    assert {end.unit for end in ends} == {"runs/u0", "runs/u1"} and len(cluster.queued) == 2
    assert all(isinstance(end.error, InterruptedRun) for end in ends)
    assert "2 jobs go on" in told[-1] and "scancel 11" in told[-1]


def test_a_controller_that_is_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, told = Answers(monkeypatch), []
    slurm = executor(tmp_path / "S", told)
    slurm.submit(units(1)[0])
    slurm.ends(0.0)

    def away(*_: Any) -> None:
        raise SlurmError(Finding("slurm", "error", "Unable to contact slurm controller"))

    with monkeypatch.context() as patched:
        patched.setattr(slurm_module, "queue", away)
        assert slurm.ends(0.0) == slurm.ends(0.0) == []
    assert sum("jobs go on" in line for line in told) == 1
    cluster.end("11_0")
    assert len(slurm.ends(0.0)) == 1


def test_a_refusal_of_sbatch_ends_the_study_with_slurms_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Answers(monkeypatch)
    cluster.refuses = "Requested node configuration is not available"
    slurm = executor(tmp_path / "S", [])
    works = units(2)
    with Stopping() as stopping:
        made = Coordinator(tmp_path / "S", works, lambda _: False, slurm, stopping, [].append)
        with pytest.raises(SlurmError, match="node configuration"):
            list(made.work())


def test_a_plan_for_gpus_that_this_machine_does_not_have(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.verbs.study import study as verb

    Answers(monkeypatch)
    monkeypatch.setattr("headstart.verbs.study.has_cuda", lambda: False)
    monkeypatch.setattr("headstart.verbs.machine.has_cuda", lambda: False)
    told: list[str] = []
    asked = {
        "out": tmp_path / "S", "starts": "scratch", "seeds": 2, "on": "slurm", "dry_run": True,
        "tell": told.append, "size": "16x24",
    }  # fmt: skip
    planned = verb(drawn, **asked, slurm="gres=gpu:a100:1,cpus-per-task=4")  # type: ignore[arg-type]
    config = planned.config
    assert (config.device, config.precision, config.threads) == ("cuda", "bfloat16", 4)
    assert planned.cost is not None and planned.cost.runs == 2
    assert planned.cost.seconds != planned.cost.seconds  # unknown: not a number
    assert "taken to multiply bfloat16" in told[0]
    assert planned.script is not None and "#SBATCH --gres=gpu:a100:1" in planned.script
    assert planned.script.count("gres") == 1 and not (tmp_path / "S").exists()
    plain = verb(drawn, **asked)  # type: ignore[arg-type]
    assert (plain.config.device, plain.config.threads) == ("cpu", 1)
    with pytest.raises(UsageError, match="gives each run its device"):
        verb(drawn, **asked, device="cuda:1")  # type: ignore[arg-type]
    hours = {**asked, "starts": None, "seeds": None, "size": None, "device": "cuda"}
    with pytest.raises(UsageError, match="this machine has no GPU"):
        verb(drawn, **hours)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not --on slurm"):
        verb(drawn, **{**asked, "on": "local"}, slurm="time=1")  # type: ignore[arg-type]


# ---- on a real SLURM -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A SLURM that answers: the one that is configured, or one of two nodes on this machine."""
    if shutil.which("sbatch") is None:
        pytest.skip("SLURM is not installed: there is no sbatch")
    if os.environ.get("SLURM_CONF"):
        yield
        return
    if not CLUSTER.exists():
        pytest.skip("no SLURM is configured (SLURM_CONF), and shared/slurm/cluster is not there")
    # pytest's own folders are closed to the users of SLURM's services
    folder = Path(tempfile.mkdtemp(prefix="headstart-slurm-"))
    folder.chmod(0o755)
    begun = subprocess.run([CLUSTER, "start", folder, "2"], capture_output=True, text=True)
    if begun.returncode:  # another SLURM has its ports
        subprocess.run([CLUSTER, "stop", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no SLURM could be started on this machine: {begun.stderr.strip()[-200:]}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patched.setenv("PYTHONPATH", f"{REPOSITORY / 'src'}:{os.environ.get('PYTHONPATH', '')}")
        yield
    subprocess.run([CLUSTER, "stop", folder], check=False)
    shutil.rmtree(folder, ignore_errors=True)


STUDY = (
    "--starts", "scratch", "--labels", "6", "--seeds", "3", "--steps", "6", "--size", "16x24",
    "--width", "2", "--threads", "1",
)  # fmt: skip


def study(data: Path, out: Path) -> tuple[str, ...]:
    return ("study", str(data), "--out", str(out), *STUDY)


@pytest.mark.usefixtures("cluster")
def test_a_study_on_slurm_is_that_of_one_machine(drawn: Path, tmp_path: Path) -> None:
    """Its coordinator is killed while jobs run, and another finishes it."""
    on = ("--on", "slurm", "--slurm", "time=5")
    words = [sys.executable, "-m", "headstart", *study(drawn, tmp_path / "S"), *on]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "S/units.json").exists() or not queue(
        os.getuid(), name_of(tmp_path / "S")
    ):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    for command in ((*study(drawn, tmp_path / "S"), *on), study(drawn, tmp_path / "L")):
        done = headstart(*command)
        assert done.returncode == 0, done
    for name in ("study.json", *(f"runs/scratch-all-6-{s}/frames.csv" for s in (1, 2, 3))):
        assert (tmp_path / "S" / name).read_bytes() == (tmp_path / "L" / name).read_bytes()
    status = study_status(tmp_path / "S")
    assert status.done == 3 and not (tmp_path / "S/claims").exists()
    assert not attempts(tmp_path / "S", "runs/scratch-all-6-1")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("cpus", "code"),
    [("2", "slurm"), ("4096", "slurm-never")],  # the second SLURM accepts, and never starts
)
def test_a_request_that_no_machine_meets_is_refused_at_once(
    drawn: Path, tmp_path: Path, cpus: str, code: str
) -> None:
    asked = f"cpus-per-task={cpus},time=5"
    done = headstart(*study(drawn, tmp_path / "S"), "--on", "slurm", "--slurm", asked)
    assert done.returncode == 1 and f"error[{code}]" in done.stderr, done
    deadline = time.monotonic() + 20
    while queue(os.getuid(), name_of(tmp_path / "S")):  # cancelled, or never there
        assert time.monotonic() < deadline
        time.sleep(0.5)
