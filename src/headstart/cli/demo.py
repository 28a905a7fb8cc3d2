"""``headstart demo``: from nothing to a verdict in minutes."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import Display, say


def demo(
    out: Path = typer.Option(Path("demo"), help="Where everything is written."),
    json: bool = typer.Option(False, "--json", help="Print study.json as one JSON object."),
) -> None:
    """Draw a small dataset and compare starts on it: scratch, colorization, ImageNet.

    Writes masks and a report, too. Takes about ten minutes on two CPU cores. The scenes are drawn
    by a program: they show that the machinery works, and say nothing about real pictures.

    Example: headstart demo --out demo
    """
    from headstart.cli.show import print_json, show_study
    from headstart.verbs.demo import demo as run_demo

    with Display("demo", epochs=False) as display:
        result = run_demo(out=out, listener=display, tell=display.tell)
    if json:
        print_json(result.study)
    else:
        show_study(result.study)
    say(f"Report:              {result.report}")
    say(f"Masks and overlays:  {result.predictions}")
    say("Next, with your own pictures: headstart check PATH, then headstart study PATH")
