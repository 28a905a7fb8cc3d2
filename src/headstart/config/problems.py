"""Errors that are collected, so that a person sees all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from headstart.errors import DataError, HeadstartError, UsageError

_P = ParamSpec("_P")
_Value = TypeVar("_Value")
_Otherwise = TypeVar("_Otherwise")


class Problems:
    """Collects the errors of several steps, none of which needs another's result."""

    def __init__(self) -> None:
        self._errors: list[HeadstartError] = []

    def value_of(
        self,
        function: Callable[_P, _Value],
        otherwise: _Otherwise,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _Value | _Otherwise:
        """Return what a function returns; if it raises an error, note that and go on."""
        try:
            return function(*args, **kwargs)
        except (UsageError, DataError) as error:
            self._errors.append(error)
            return otherwise

    def note(self, function: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Note the error that a function raises, if it does."""
        self.value_of(function, None, *args, **kwargs)

    def raise_all(self) -> None:
        """Raise all errors as one of the first one's kind; nothing if there are none."""
        if self._errors:
            raise type(self._errors[0])([f for error in self._errors for f in error.findings])
