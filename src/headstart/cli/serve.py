"""``headstart serve RUN``: a page to try a run, and to see what it is worth."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

import typer

from headstart.cli.progress import say


def serve(
    run: Path = typer.Argument(..., help="A finished run, or the model.onnx of one."),
    port: int = typer.Option(8420, min=0, max=65535, help="Where it listens; 0 takes a free one."),
    host: str = typer.Option(
        "127.0.0.1", help="The address it listens on; any but this machine's own needs --token."
    ),
    token: str | None = typer.Option(
        None, help="Asked of everybody who opens the page; auto draws one."
    ),
    data: Path | None = typer.Option(None, help="Where the run's dataset is, if it has moved."),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
) -> None:
    """Open a page in the browser: drop a picture, see what the run finds and how sure it is.

    Nothing is stored and nothing leaves the machine. Ctrl-C stops it.

    Example: headstart serve runs/first
    """
    from headstart.system.packages import require

    require("serve")
    from headstart.serve.app import Served, make_app
    from headstart.serve.facts import find_about
    from headstart.serve.guard import is_loopback
    from headstart.serve.samples import find_samples
    from headstart.serve.server import bind, checked_token
    from headstart.serve.server import serve as run_server

    asked = checked_token(host, token)
    about = find_about(run)
    address = bind(host, port)

    from headstart.inference.opening import open_segmenter

    segmenter = open_segmenter(run, device)
    samples = find_samples(about.config, about.run, segmenter.label_map, data)
    app = make_app(Served(segmenter, about, samples), host, asked)
    if samples.missing:
        say(f"without test frames to try: {samples.missing}")
    if not is_loopback(host):
        say("what goes over the network is not encrypted: keep to networks you trust")
    fragment = f"/#token={quote(asked, safe='')}" if asked else ""
    say(f"{about.name} is at {address.url}{fragment}")
    if address.own is not None:
        say(f"from elsewhere, with this machine's address or name instead of {address.own}")
    say("Ctrl-C stops it")
    run_server(app, address)
    # A thread may still be at a picture, which nobody waits for any more.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
