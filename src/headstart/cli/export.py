"""``headstart export RUN``: one file that any ONNX runtime runs."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import say


def export(
    run: Path = typer.Argument(..., help="A finished run."),
    out: Path | None = typer.Option(None, help="The file. [default: RUN/model.onnx]"),
    pictures: Path | None = typer.Option(
        None,
        help="Real pictures to compare with PyTorch on. [default: the run's test and "
        "validation frames]",
    ),
    fresh: bool = typer.Option(
        False, "--fresh", help="Write beside a file that is there; never overwrite."
    ),
    json: bool = typer.Option(False, "--json", help="The result as one JSON object on stdout."),
) -> None:
    """Write a run as one ONNX file, if it answers as PyTorch does on real pictures.

    It takes any number of pictures and, of a segmentation, any usual size; predict takes it where
    it takes a run, and loads no PyTorch then.

    Example: headstart export runs/first
    """
    from headstart.export.to_onnx import export_run

    done = export_run(run, out, pictures, fresh, say)
    if json:
        from json import dumps

        print(dumps(done))  # noqa: T201
    agreement = done["agreement"]
    if agreement is None:
        say(f"{done['file']} is there already, made from these weights")
        return
    say(
        f"{done['file']} ({done['bytes'] / 1e6:.1f} MB): on {agreement['pictures']} pictures no "
        f"probability differs from PyTorch's by more than {agreement['largest_difference']:.1e}; "
        f"another class: {agreement['other_class_share']:.4%}"
    )
    say(f"next: headstart predict {done['file']} PICTURES --out predictions")
