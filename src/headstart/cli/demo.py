"""``headstart demo``: from nothing to masks in minutes."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import Display, say


def demo(
    out: Path = typer.Option(Path("demo"), help="Where everything is written."),
    json: bool = typer.Option(False, "--json", help="The scores as one JSON object on stdout."),
) -> None:
    """Draw a small dataset, train on it, score it and write masks; no data and no GPU needed.

    Takes a few minutes on two CPU cores. The scenes are drawn by a program: they show that the
    machinery works, and say nothing about surgery.

    Example: headstart demo --out demo
    """
    from headstart.cli.show import show_scores
    from headstart.config import available_threads
    from headstart.demo import demo as run_demo

    with Display("demo") as display:
        scores = run_demo(out, available_threads(), display)
    show_scores(scores, json)
    say(f"predictions beside the truth   {out / 'run' / 'predictions.png'}")
    say(f"training and validation loss   {out / 'run' / 'curves.png'}")
    say(f"masks and overlays             {out / 'predictions'}")
    say("next, your own pictures:       headstart check PATH, then headstart train PATH")
