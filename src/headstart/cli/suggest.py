"""``headstart suggest RUN UNLABELLED``: what to label next."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import Counting, say
from headstart.inference.format_names import MaskFormat


def suggest(
    run: Path = typer.Argument(..., help="A finished run that segments."),
    unlabelled: Path = typer.Argument(
        ..., help="A folder of pictures (also in subfolders), or a dataset with unlabelled ones."
    ),
    count: int = typer.Option(20, help="Maximum number of suggestions.", min=1, max=10_000),
    out: Path | None = typer.Option(
        None, help="Where to put the pictures to label. [default: RUN/to-label]"
    ),
    format: MaskFormat = typer.Option(
        "masks",
        help="Also write the masks as annotations, to correct them in a tool. coco: "
        "annotations.json; labelme: labelme/; yolo: labels/ and data.yaml; cvat: annotations.xml; "
        "masks: no annotations.",
    ),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    json: bool = typer.Option(False, "--json", help="Print the list as one JSON object."),
) -> None:
    """Pick the pictures whose labels would teach RUN most.

    Writes masks to correct, too. Each pick stands for a group of similar pictures that RUN is
    uncertain about and that no labelled frame or earlier pick resembles. A picture is left out if
    it is a near-duplicate of a labelled frame, of a validation or test frame, or of an earlier
    pick.

    Example: headstart suggest runs/first my-data/unlabelled --count 20 --out to-label
    """
    from headstart.cli.show import print_json
    from headstart.verbs.suggest import suggest as pick

    with Counting(run.name, "pictures") as counting:
        result = pick(
            run,
            unlabelled,
            count=count,
            out=out,
            format=format,
            device=device,
            step=counting.step,
        )
    for finding in result.findings:
        say(str(finding))
    say(
        f"{result.pictures} pictures, of which {result.labelled} are near-duplicates of labelled "
        f"ones and {result.held_out} of validation or test frames"
    )
    if result.folder is None:
        say("No pictures left to suggest; wrote nothing")
    else:
        say(
            f"Suggested {len(result.suggestions)} pictures: wrote sheet.png, suggestions.csv, "
            f"images/ and masks/ to {result.folder}"
        )
    if result.annotations:
        say(f"Wrote annotations to {' and '.join(map(str, result.annotations))}")
    if json:
        print_json(result.to_json())
