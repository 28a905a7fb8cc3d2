"""``headstart export RUN``: one file that any ONNX runtime runs."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import say


def export(
    run: Path = typer.Argument(..., help="A finished run or study."),
    out: Path | None = typer.Option(None, help="The file. [default: RUN/model.onnx]"),
    pictures: Path | None = typer.Option(
        None,
        help="Pictures on which to compare the file with PyTorch. [default: the run's test and "
        "validation frames]",
    ),
    fresh: bool = typer.Option(
        False, "--fresh", help="If the file exists, write a new one next to it; overwrite nothing."
    ),
    json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Write a run as one ONNX file, checked against PyTorch.

    Nothing is written unless both agree on real pictures. The file takes any number of pictures at
    once. For segmentation they may have any size, as long as it is the same for all (and, with an
    encoder, not much smaller than in training); for classification, the training size. predict,
    evaluate and serve accept it in place of a run; predict and serve then need no PyTorch.

    Example: headstart export runs/first
    """
    from headstart.cli.show import print_json
    from headstart.verbs.export import export as write

    result = write(run, out=out, pictures=pictures, fresh=fresh, tell=say)
    if json:
        print_json(result.to_json())
    agreement = result.agreement
    if agreement is None:
        say(f"{result.file} exists already, made from these weights")
        return
    say(
        f"Wrote {result.file} ({result.bytes / 1e6:.1f} MB). Compared with PyTorch on "
        f"{agreement['pictures']} pictures: largest difference of a probability "
        f"{agreement['largest_difference']:.1e}, another class for "
        f"{agreement['other_class_share']:.4%}"
    )
    say(f"Next: headstart predict {result.file} PICTURES --out predictions")
