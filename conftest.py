"""Before anything else is imported: bytecode is kept, files stay in memory, checks are cheap.

The suite starts some hundred processes, and with ``PYTHONDONTWRITEBYTECODE`` (containers and CI
like to set it) in an environment that came without bytecode each of them compiles all of PyTorch
again: three fifths of the time of an import. The setting is about files in people's folders, so
here they go into one that is pytest's own. Processes inherit it from the environment.

headstart flushes each file and its folder to the disk, and waits for it. In memory that takes no
time, so the tests' folders are in ``/dev/shm`` where there is one with room. Those of passed tests
are removed.

Calls are checked for shapes, which mypy cannot see; what it sees is not checked again. Functions
inside functions are not checked: they would be wrapped anew at every call of the outer one.
"""

from __future__ import annotations

import dataclasses
import gc
import inspect
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jaxtyping

gc.disable()  # until everything is imported: little of that is garbage

if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

_MEMORY = Path("/dev/shm")
if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

_with_shapes = jaxtyping.jaxtyped


def _has_shape(annotation: Any) -> bool:
    """Whether an annotation is an array of some shape, or has one inside."""
    if isinstance(annotation, list | tuple):  # the parameters of a Callable
        return any(map(_has_shape, annotation))
    if inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(map(_has_shape, get_args(annotation)))


def _known(annotation: Any, names: dict[str, Any]) -> Any:
    """An annotation that may be text, as jaxtyping reads it: anything, where a name is unknown."""

    def of(value: Any) -> None:
        """Holds the annotation."""

    of.__annotations__ = {"value": annotation}
    try:
        return get_type_hints(of, names, include_extras=True)["value"]
    except Exception:  # such as a class within itself, or what only type checkers import
        return Any


def _checked(function: Any, typechecker: Callable[[Any], Any]) -> Any:
    if inspect.isclass(function) and dataclasses.is_dataclass(function):
        if "__init__" in vars(function):
            function.__init__ = _checked(function.__init__, typechecker)
        return function
    if not inspect.isfunction(function):
        return _with_shapes(function, typechecker=typechecker)
    if "<locals>" in function.__qualname__:
        return function
    known = (_known(text, function.__globals__) for text in function.__annotations__.values())
    return (
        _with_shapes(function, typechecker=typechecker) if any(map(_has_shape, known)) else function
    )


def _jaxtyped(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda function: _checked(function, typechecker)


jaxtyping.jaxtyped = _jaxtyped
