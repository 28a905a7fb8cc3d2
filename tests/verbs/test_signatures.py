"""From Python as from the command line: a function a verb, with the same options and defaults."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest

import headstart
from headstart.cli.main import app

VERBS = (
    "check", "train", "pretrain", "study", "status", "report", "evaluate", "predict", "suggest",
    "export", "demo", "homework",
)  # fmt: skip
OF_PYTHON = {"listener", "tell", "step", "forecast"}  # a command line shows these itself


def function_of(verb: str) -> Callable[..., object]:
    return getattr(importlib.import_module(f"headstart.verbs.{verb}"), verb)


def options_of(verb: str) -> dict[str, object]:
    """The arguments and options of a command, with their defaults."""
    (command,) = (c.callback for c in app.registered_commands if c.callback.__name__ == verb)
    return {
        name: parameter.default.default
        for name, parameter in inspect.signature(command).parameters.items()
    }


@pytest.mark.parametrize("verb", VERBS)
def test_a_function_has_the_options_of_its_command(verb: str) -> None:
    parameters = inspect.signature(function_of(verb)).parameters
    options = options_of(verb)
    assert list(parameters)[: len(parameters) - len(OF_PYTHON & set(parameters))] == [
        name for name in options if name != "json"
    ]
    for name, default in options.items():
        if name == "json":
            continue
        expected = inspect.Parameter.empty if default is ... else default
        expected = str(expected) if isinstance(expected, Path) else expected
        assert parameters[name].default == expected


@pytest.mark.parametrize("verb", VERBS)
def test_a_function_says_what_each_option_is(verb: str) -> None:
    function = function_of(verb)
    for name in inspect.signature(function).parameters:
        assert f"        {name}: " in function.__doc__


@pytest.mark.parametrize("name", headstart.__all__)
def test_no_room_has_the_name_of_a_public_function(name: str) -> None:
    """Else importing the room would put a module where the function was."""
    assert name not in {module.name for module in pkgutil.iter_modules(headstart.__path__)}
