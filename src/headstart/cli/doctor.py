"""``headstart doctor``: what is installed, what is missing, and what this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from headstart.cli.progress import say

if TYPE_CHECKING:
    from rich.text import Text

    from headstart.system.doctor import Health

_STYLES = {"ok": "green", "missing": "yellow", "broken": "red", "too old": "red"}


def doctor(
    quick: bool = typer.Option(False, "--quick", help="Only look up versions; load no package."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Show what is installed and missing, and what this machine has.

    Exits with 1 if a required package is missing or broken, or if any installed package is too old.
    A missing or broken package that only an extra needs is shown, but is not a failure. Installs
    nothing.

    Example: headstart doctor
    """
    from headstart.system.doctor import examine

    if not quick:
        say("Loading every package to see whether it works; torch takes some seconds ...")
    health = examine(load=not quick)
    if json:
        from headstart.cli.show import print_json

        print_json(health.to_json())
    else:
        from rich.console import Console

        console = Console(highlight=False, emoji=False, markup=False)
        for line in _lines(health, quick):
            console.print(line, soft_wrap=not console.is_terminal)
    if not health.ok:
        raise typer.Exit(1)


def _lines(health: Health, quick: bool) -> Iterator[Text | str]:
    yield _heading(f"headstart {health.headstart}, Python {health.python}")
    for heading, required in (("required", True), ("extras", False)):
        yield ""
        yield _heading(heading)
        for package in health.packages:
            if (package.extra is None) == required:
                yield _row(package.name, package.version or "-", package.verdict, package.do)
    yield ""
    yield _heading("machine")
    yield _fact("processor", health.cpu)
    limit = health.cores.limit
    quota = "" if limit is None else f", a limit of {limit:g}"
    yield _fact("cores", f"{health.cores.affinity} of {health.cores.machine}{quota}")
    memory = health.memory
    parts = [f"{_size(memory.total)}, {_size(memory.available)} available"]
    parts += [f"a limit of {_size(memory.limit)}"] if memory.limit is not None else []
    yield _fact("memory", ", ".join(parts))
    if health.devices is None:
        why = "not checked: --quick" if quick else "torch does not load"
        yield _fact("accelerator", why)
    else:
        for device in health.devices:
            bf16 = "bf16" if device.bf16 else "no bf16"
            about = f"{device.device}: {device.name}, {_size(device.memory)}, {bf16}"
            unknown = "; not measured by us, trains in float32" if device.device == "mps" else ""
            yield _fact("accelerator", about + unknown)
        if not health.devices:
            yield _fact("accelerator", "none that torch can use")
        yield _fact("bf16 on the CPU", "yes" if health.cpu_bf16 else "no")
    for place in health.places:
        free = f"{_size(place.free)} of {_size(place.size)} free"
        yield _fact(place.use, f"{free} in {place.folder}")
    yield ""
    yield _heading("other programs")
    for tool in health.tools:
        yield _fact(tool.name, tool.path or f"not found (needed only for: {tool.use})")
    shell, installed = health.completion
    do = "headstart --install-completion" if shell else "the shell is not known"
    yield _fact("completion", f"installed for {shell}" if installed else f"not installed: {do}")
    yield ""
    yield _verdict(health.ok)


def _heading(text: str) -> Text:
    from rich.text import Text

    return Text(text, style="bold")


def _row(name: str, version: str, verdict: str, do: str) -> Text:
    from rich.text import Text

    row = Text(f"  {name:<16} {version:<14}")
    row.append(verdict, style=_STYLES[verdict])
    return row.append(f": {do}" if do else "")


def _fact(name: str, text: str) -> str:
    from headstart.errors import printable

    return f"  {name:<19}{printable(text)}"


def _verdict(ok: bool) -> Text:
    from rich.text import Text

    if ok:
        return Text("all that is required works", style="green")
    return Text(
        "a required package is missing or broken, or an installed one is too old: see above",
        style="red",
    )


def _size(count: int | None) -> str:
    """Return a number of bytes for people.

    >>> _size(8_100_000_000), _size(64_000_000), _size(None)
    ('8.1 GB', '64 MB', 'unknown')
    """
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
