"""``headstart explain CODE``: what a message's code means, and what to do."""

from __future__ import annotations

import typer


def explain(
    code: str | None = typer.Argument(
        None, help="As in error[unknown-grey]; without it all codes are listed."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Say what the CODE of a message means, and what to do about it.

    Example: headstart explain unknown-grey
    """
    from headstart.errors import look_up, read_codes

    found = list(read_codes().values()) if code is None else [look_up(code)]
    if json:
        from json import dumps

        rows = [its.to_json() for its in found]
        print(dumps({"schema": 1, "codes": rows} if code is None else rows[0]))  # noqa: T201
    elif code is None:
        for its in found:
            print(f"{its.name}: {its.meaning}")  # noqa: T201
    else:
        from rich.console import Console

        (its,) = found
        console = Console(highlight=False, emoji=False, markup=False)
        for line in (
            f"{'/'.join(its.severity)}[{its.name}]",
            f"  found by: {its.where}",
            f"  means: {its.meaning}",
            f"  do: {its.do}",
        ):
            console.print(line, soft_wrap=not console.is_terminal)
