"""``headstart explain CODE``: what a message's code means, and what to do."""

from __future__ import annotations

import typer


def explain(
    code: str | None = typer.Argument(
        None, help="A code, as in error[unknown-grey]; without one, all codes are listed."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Explain the CODE of a message: what it means and what to do.

    Example: headstart explain unknown-grey
    """
    from headstart.errors import look_up, read_codes

    codes = list(read_codes().values()) if code is None else [look_up(code)]
    if json:
        from headstart.cli.show import print_json

        rows = [explained.to_json() for explained in codes]
        print_json({"schema": 1, "codes": rows} if code is None else rows[0])
    elif code is None:
        for explained in codes:
            print(f"{explained.name}: {explained.meaning}")  # noqa: T201
    else:
        from rich.console import Console

        (explained,) = codes
        console = Console(highlight=False, emoji=False, markup=False)
        for line in (
            f"{'/'.join(explained.severity)}[{explained.name}]",
            f"  found by: {explained.where}",
            f"  means: {explained.meaning}",
            f"  do: {explained.do}",
        ):
            console.print(line, soft_wrap=not console.is_terminal)
