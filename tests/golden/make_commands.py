"""Writes commands.txt and public_names.txt: what people and programs may rely on.

``uv run python tests/golden/make_commands.py``, when a change of it is meant.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def commands() -> str:
    """Every verb, and each of its arguments and options: name, type, default, whether required."""
    import typer

    from headstart.cli.main import app

    group = typer.main.get_command(app)
    lines = ["headstart", *_parameters(group)]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        lines += ["", f"headstart {name}", *_parameters(command)]
    return "\n".join(lines) + "\n"


def _parameters(command: Any) -> list[str]:
    return [
        f"  {_name(its)}  {_type(its)}{'' if its.nargs == 1 else f' x {its.nargs}'}"
        f"  {'required' if its.required else f'default {its.default!r}'}"
        for its in command.params
    ]


def _name(its: Any) -> str:
    if its.param_type_name == "argument":
        return its.metavar or its.name.upper()
    both = "/".join((*its.opts, *its.secondary_opts))
    return f"{both} (flag)" if getattr(its, "is_flag", False) else both


def _type(its: Any) -> str:
    annotation = inspect.formatannotation(its.type_descriptor.annotation)
    bounds = "" if its.min is None and its.max is None else f" from {its.min} to {its.max}"
    return f"{annotation}{bounds}"


def public_names() -> str:
    """Every name of ``headstart.__all__``, in order, with its signature."""
    import headstart

    # As it is loaded first, whatever was imported before.
    names = headstart.__all__
    return "".join(f"{name}{_signature(headstart.__getattr__(name))}\n" for name in names)


def _signature(thing: Any) -> str:
    if fields := getattr(thing, "model_fields", None):  # a recipe, a configuration
        names = (
            f"{its.alias or name}{'' if its.is_required() else '=...'}"
            for name, its in fields.items()
        )
        return f"({', '.join(names)})"
    try:
        return str(inspect.signature(thing))
    except ValueError:
        return ""


if __name__ == "__main__":
    os.environ.pop("_HEADSTART_COMPLETE", None)
    for name, text in (("commands", commands()), ("public_names", public_names())):
        (HERE / f"{name}.txt").write_text(text)
