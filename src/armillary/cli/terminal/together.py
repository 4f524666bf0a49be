# SPDX-License-Identifier: Apache-2.0
"""Several options that one parameter of a verb stands for, declared once for all verbs that have them."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer


@dataclass(frozen=True, slots=True)
class Together:
    """Marks a parameter that stands for several options; the command gets what ``resolve`` makes of them.

    ``options``: name of an option -> its annotation and its default. ``resolve`` takes the service first, None in a
    verb that asks none.
    """

    options: Mapping[str, tuple[Any, object]]
    resolve: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a verb: ``options`` as Typer reads them, and those that stand for several of these."""

    options: Mapping[str, tuple[Any, object]]
    together: Mapping[str, Together]

    def resolved(self, service: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the verb is called with, of the values that Typer gives."""
        given = dict(values)
        for key, marker in self.together.items():
            given[key] = marker.resolve(service, **{each: given.pop(each) for each in marker.options})
        return given


def parameters_of(function: Callable[..., Any], *, passed_over: int = 0) -> Parameters:
    """The parameters of a verb without the first ones, which no option stands for."""
    hints = typing.get_type_hints(function, include_extras=True)
    options: dict[str, tuple[Any, object]] = {}
    together: dict[str, Together] = {}
    for key, parameter in list(inspect.signature(function).parameters.items())[passed_over:]:
        marker = next((each for each in typing.get_args(hints[key]) if isinstance(each, Together)), None)
        if marker is None:
            options[key] = (hints[key], parameter.default)
        else:
            options |= marker.options
            together[key] = marker
    return Parameters(options, together)


def declared(
    app: typer.Typer,
    name: str,
    call: Callable[..., None],
    options: Mapping[str, tuple[Any, object]],
    *,
    negative_values: bool = False,
) -> None:
    """Make ``call`` the command of a name with these options."""
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what Typer reads
        [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, (kind, default) in options.items()
        ]
    )
    call.__annotations__ = {key: kind for key, (kind, _) in options.items()}
    del call.__wrapped__  # type: ignore[attr-defined]  # or its annotations would be read instead
    settings = {"ignore_unknown_options": True} if negative_values else None
    app.command(name, context_settings=settings)(call)


def local_command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a verb that asks no service and has parameters that stand for several options."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        parameters = parameters_of(function)

        @functools.wraps(function)
        def call(**values: Any) -> None:
            function(**parameters.resolved(None, values))

        declared(app, name, call, parameters.options)
        return function

    return register
