"""``headstart demo``: from nothing to a verdict in minutes."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import Display, say


def demo(
    out: Path = typer.Option(Path("demo"), help="Where everything is written."),
    json: bool = typer.Option(False, "--json", help="study.json on stdout."),
) -> None:
    """Draw a small dataset, study two starts on it, write masks and a report; nothing is needed.

    Takes a few minutes on two CPU cores. The scenes are drawn by a program: they show that the
    machinery works, and say nothing about surgery.

    Example: headstart demo --out demo
    """
    from headstart.cli.show import print_json, show_study
    from headstart.training.config import available_threads
    from headstart.verbs.demo import demo as run_demo

    with Display("demo", epochs=False) as display:
        found = run_demo(out, available_threads(), display, display.tell)
    if json:
        print_json(found)
    else:
        show_study(found)
    say(f"the report                 {out / 'study' / 'report.html'}")
    say(f"masks and overlays         {out / 'predictions'}")
    say("next, your own pictures:   headstart check PATH, then headstart study PATH")
