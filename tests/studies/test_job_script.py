"""What SLURM is asked for, and how its answers are read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from headstart.errors import UsageError
from headstart.studies import job_script
from headstart.studies.job_script import (
    Ended,
    SlurmError,
    ask,
    asks_for_gpu,
    how_it_ended,
    most_in_an_array,
    parse_slurm,
    queue,
    script,
)


def test_options_as_sbatch_names_them() -> None:
    assert parse_slurm(None) == parse_slurm("") == {}
    asked = parse_slurm("partition=gpu,exclude=n[1-3],n7,time=2:00:00,mem_per_cpu=2G,exclusive=")
    assert asked == {
        "partition": "gpu",
        "exclude": "n[1-3],n7",
        "time": "2:00:00",
        "mem-per-cpu": "2G",
        "exclusive": "",
    }
    assert parse_slurm({"mail-user": "a@b.c"}) == {"mail-user": "a@b.c"}


def test_what_cannot_be_asked_for_is_named_all_at_once() -> None:
    with pytest.raises(UsageError) as raised:
        parse_slurm("array=0-3,Partition=x,requeue,time=1")
    messages = [finding.message for finding in raised.value.findings]
    # "requeue" without "=" belongs to the value before it, so two are wrong
    assert len(messages) == 2 and "array" in messages[0] and "Partition" in messages[1]
    for name in ("wrap", "signal", "output", "nodes", "no-requeue"):
        with pytest.raises(UsageError, match="bad-slurm"):
            parse_slurm(f"{name}=1")
    with pytest.raises(UsageError, match="bad-slurm"):
        parse_slurm({"comment": "a\n#SBATCH --wrap=rm"})
    for count in ("", "four", "4 cores", "0", "-1"):
        with pytest.raises(UsageError, match="expected a number from 1"):
            parse_slurm({"cpus-per-task": count})


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        ({"gres": "gpu:a100:1"}, True), ({"gpus": "1"}, True), ({"gres": "tmpdir:10G"}, False),
        ({"partition": "gpu"}, False), ({}, False),
    ],
)  # fmt: skip
def test_who_asks_for_a_gpu(options: dict[str, str], asks: bool) -> None:
    assert asks_for_gpu(options) == asks


def made(options: dict[str, str], gpu: bool = False, at_once: int | None = None) -> str:
    units = ["runs/a-1", "runs/b c-1"]
    return script("S.1", units, Path("/x/my study"), Path("/x/logs"), options, 3, gpu, at_once, 5.0)


def test_the_script() -> None:
    lines = made({"partition": "gpu", "comment": "two words"}, gpu=True, at_once=4).splitlines()
    assert lines[0] == "#!/bin/bash"
    for line in (
        "#SBATCH --job-name=S.1", "#SBATCH --array=0-1%4", "#SBATCH --cpus-per-task=3",
        "#SBATCH --output=/x/logs/%A_%a.log", "#SBATCH --open-mode=append", "#SBATCH --requeue",
        "#SBATCH --signal=B:USR1@90", "#SBATCH --gres=gpu:1", "#SBATCH --partition=gpu",
        '#SBATCH --comment="two words"',
    ):  # fmt: skip
        assert line in lines
    assert "#SBATCH --gres=gpu:1" not in made({"gpus": "1"}, gpu=True)
    assert "--signal=B:USR1@20" in made({"time": "1"})
    assert "#SBATCH --cpus-per-task=8" in made({"cpus-per-task": "8"})


def test_a_task_starts_the_worker_of_its_unit(tmp_path: Path) -> None:
    """The script run by bash, with a stand-in for python that prints its words."""
    shown = tmp_path / "python"
    shown.write_text('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\n')
    shown.chmod(0o755)
    text = made({}).replace(job_script.sys.executable, str(shown))
    known = os.environ | {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "17"}
    answer = subprocess.run(
        ["bash"], input=text, env=known, capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines() == [
        "<-m>", "<headstart.studies.worker>", "</x/my study>", "<runs/b c-1>",
        "<--executor>", "<slurm>", "<--job>", "<17_1>", "<--checkpoint-seconds>", "<5>",
    ]  # fmt: skip


def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **of_command: str) -> None:
    """Put commands on the path that print what SLURM would."""
    for name, text in of_command.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_the_queue_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "17_0|RUNNING|None|S.1\\n17_1|PENDING|BeginTime|S.1\\n18|RUNNING|None|other"
    answers(tmp_path, monkeypatch, squeue=f'printf "{lines}\\n"')
    found = queue(0, "S.")
    assert set(found) == {"17_0", "17_1"} and found["17_1"].task == 1
    assert (found["17_1"].state, found["17_1"].reason) == ("PENDING", "BeginTime")


def test_how_a_job_ended_by_the_controller_or_by_accounting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "JobId=4 ArrayJobId=3 JobState=FAILED Reason=NonZero ExitCode=75:0 NodeList=n2"
    answers(tmp_path, monkeypatch, scontrol=f'echo "{line}"')
    assert how_it_ended("3_1") == Ended("FAILED", 75, "n2")
    gone = "echo 'Invalid job id specified' >&2; exit 1"
    answers(tmp_path, monkeypatch, scontrol=gone, sacct="echo 'CANCELLED by 0|0:15|n1'")
    assert how_it_ended("3_1") == Ended("CANCELLED", 0, "n1")
    answers(tmp_path, monkeypatch, scontrol=gone, sacct=gone)
    assert how_it_ended("3_1") == Ended()


def test_an_answer_that_does_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(tmp_path, monkeypatch, sbatch="echo 'Invalid account' >&2; exit 1")
    with pytest.raises(SlurmError, match="Invalid account"):
        ask("sbatch", "x")
    with pytest.raises(SlurmError, match="no-slurm"):
        ask("no-such-command-of-slurm")
    monkeypatch.setattr(job_script, "_SECONDS", 0.2)
    answers(tmp_path, monkeypatch, sbatch="sleep 5")
    with pytest.raises(SlurmError, match="did not answer"):
        ask("sbatch", "x")


def test_the_longest_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(tmp_path, monkeypatch, scontrol="echo 'MaxArraySize            = 2001'")
    assert most_in_an_array() == 2001
