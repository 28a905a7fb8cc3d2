"""``headstart suggest RUN UNLABELLED``: what to label next."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import Counting, say
from headstart.errors import Finding, UsageError


def suggest(
    run: Path = typer.Argument(..., help="A finished run of a segmentation."),
    unlabelled: Path = typer.Argument(
        ..., help="A folder of pictures, or a dataset with unlabelled pictures."
    ),
    count: int = typer.Option(20, help="How many to suggest, at most.", min=1, max=10_000),
    out: Path | None = typer.Option(
        None, help="Where the pictures to label are put. [default: RUN/to-label]"
    ),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    json: bool = typer.Option(False, "--json", help="The list as one JSON object on stdout."),
) -> None:
    """Pick the pictures whose labels would teach RUN most, with masks to correct.

    It picks what stands for most of what the run is unsure of; never what nearly equals a picture
    that has labels, a validation or test frame, or one picked before.

    Example: headstart suggest runs/first my-data/unlabelled --count 20 --out to-label
    """
    if run.is_file():
        message = f"{run} is a file; suggesting needs the run itself: it looks inside the network"
        raise UsageError(Finding("not-a-run", "error", message, "give the run's folder"))

    from headstart.cli.show import print_json
    from headstart.data.layouts.folders import find_pictures, layout_of, open_dataset
    from headstart.inference.opening import open_segmenter
    from headstart.labelling.folder import write_suggestions
    from headstart.labelling.suggestion import suggest as find
    from headstart.system.devices import pick_device

    chosen = pick_device(device)
    segmenter = open_segmenter(run, device)
    if layout_of(unlabelled) is None:
        frames, root = find_pictures(unlabelled), unlabelled
    else:
        dataset = open_dataset(unlabelled)
        frames, root = dataset.unlabelled.get("train", ()), dataset.root
    if not frames:
        message = f"{unlabelled} is a dataset without unlabelled pictures"
        raise UsageError(Finding("no-pictures", "error", message, "give a folder of pictures"))
    root = root if root.is_dir() else root.parent
    with Counting(run.name, "pictures") as counting:
        found = find(run, frames, root, count, chosen, step=counting.step)
    for finding in found.findings:
        say(str(finding))
    out = out or run / "to-label"
    if found.picked:
        write_suggestions(segmenter, found.picked, root, out)
    say(
        f"{found.pictures} pictures; left out: {found.labelled} that nearly equal labelled ones, "
        f"{found.held_out} that nearly equal validation or test frames"
    )
    if found.picked:
        say(f"{len(found.picked)} suggested; in {out}: sheet.png, suggestions.csv, images/, masks/")
    else:
        say("nothing is left to suggest, and nothing was written")
    if json:
        print_json(
            {
                "schema": 1,
                "pictures": found.pictures,
                "out": str(out) if found.picked else None,
                "findings": [finding.to_json() for finding in found.findings],
                "left_out": {"labelled": found.labelled, "held_out": found.held_out},
                "suggestions": [
                    {
                        "rank": rank,
                        "name": s.frame.name,
                        "picture": str(s.frame.image),
                        "uncertainty": s.uncertainty,
                        "covers": s.covers,
                    }
                    for rank, s in enumerate(found.picked, start=1)
                ],
            }
        )
