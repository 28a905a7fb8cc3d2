"""Shells complete verbs and options, and what they ask loads no torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_main import VERBS

ASK = (
    "import sys\nfrom headstart.cli.main import main\n"
    "try: main()\n"
    "finally:\n"
    "    heavy = {'torch', 'numpy'} & set(sys.modules)\n"
    "    print(*sorted(heavy), file=sys.stderr)"
)


def asked(shell: str, words: str, count: int) -> tuple[str, str]:
    """What is offered after ``words``; and which of the heavy modules were loaded for it."""
    its = {
        "_HEADSTART_COMPLETE": f"complete_{shell}", "COMP_WORDS": words, "COMP_CWORD": str(count),
        "_TYPER_COMPLETE_ARGS": words,
    }  # fmt: skip
    script = f"import sys; sys.argv = ['headstart']\n{ASK}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **its}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.strip()


def test_bash_completes_verbs_and_options() -> None:
    said, loaded = asked("bash", "headstart ", 1)
    assert said.split() == list_of_verbs() and loaded == ""
    said, _ = asked("bash", "headstart train --ta", 2)
    assert said.split() == ["--task"]


def test_zsh_completes_with_a_word_on_each() -> None:
    said, loaded = asked("zsh", "headstart ", 1)
    assert all(f'"{verb}":"' in said for verb in VERBS) and loaded == ""


def list_of_verbs() -> list[str]:
    from headstart.cli.main import app

    return [command.name or command.callback.__name__ for command in app.registered_commands]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_what_bash_is_given_works_in_bash(tmp_path: Path) -> None:
    script = f"import sys; sys.argv = ['headstart', *sys.argv[1:]]\n{ASK}"
    command = tmp_path / "headstart"
    command.write_text(f"#!{sys.executable}\n{script}\n")
    command.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    asked = "headstart --show-completion; exit $?"  # bash stays the parent, as Typer looks for it
    shown = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=path)
    assert shown.returncode == 0, shown.stderr
    ask = (
        f"{shown.stdout}\nCOMP_WORDS=(headstart expl); COMP_CWORD=1; "
        "_headstart_completion headstart; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, env=path)
    assert done.stdout.split()[:1] == ["explain"], done.stderr
