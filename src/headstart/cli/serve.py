"""``headstart serve RUN``: a page to try a run, and to see its scores."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

import typer

from headstart.cli.progress import say


def serve(
    run: Path = typer.Argument(
        ..., help="A finished run or study that segments, or its ONNX file."
    ),
    port: int = typer.Option(
        8420, min=0, max=65535, help="The port to listen on; 0 takes a free one."
    ),
    host: str = typer.Option(
        "127.0.0.1", help="The address to listen on; any address but loopback needs --token."
    ),
    token: str | None = typer.Option(
        None, help="A secret that visitors of the page need; auto generates a random one."
    ),
    data: Path | None = typer.Option(None, help="The run's dataset, if it has moved."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, or mps."),
) -> None:
    """Serve a page for the browser.

    Drop a picture on it to see what the run finds and how sure it is. Nothing is stored and nothing
    leaves the machine. Ctrl-C stops it.

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

    secret = checked_token(host, token)
    about = find_about(run)
    address = bind(host, port)

    from headstart.inference.members import members_of, told
    from headstart.inference.opening import open_segmenter

    segmenter = open_segmenter(run, device)
    for finding in told(run):
        say(str(finding))
    members = members_of(run)
    fold = members.runs[0] if members is not None and members.crossed else None
    samples = find_samples(about.config, about.run, segmenter.label_map, data, fold)
    app = make_app(Served(segmenter, about, samples), host, secret)
    if samples.missing:
        say(f"The page offers no test frames to try: {samples.missing}")
    if not is_loopback(host):
        say("The connection is not encrypted: use it only in networks you trust")
    fragment = f"/#token={quote(secret, safe='')}" if secret else ""
    say(f"Serving {about.name} at {address.url}{fragment}")
    if address.own is not None:
        say(f"From other machines, use this machine's address or name instead of {address.own}")
    run_server(app, address, say)
    # Threads that still work at a picture are not waited for.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
