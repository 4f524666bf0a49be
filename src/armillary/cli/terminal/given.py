# SPDX-License-Identifier: Apache-2.0
"""Parses option values: NAME=VALUE pairs, JSON, one of several options. A fault is wrong usage (exit status 2)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import typer


def pairs_of(option: str, given: Iterable[str] | None, *, form: str = "NAME=VALUE") -> dict[str, str]:
    """Name -> value of texts such as ``NAME=VALUE``. Raises typer.BadParameter if one is not of that form."""
    found: dict[str, str] = {}
    for pair in given or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{option}: expected {form}, got {pair!r:.60}")
        found[name] = value
    return found


def json_of(option: str, text: str) -> Any:
    """A JSON value. Raises typer.BadParameter if it is none."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: expected JSON ({error})") from error


def one_of(options: str, *given: object) -> Any:
    """What the only callable of ``given`` makes: an option that is not given stands there as what is false.

    Raises:
        typer.BadParameter: none or several are given.
    """
    chosen = [make for make in given if callable(make)]
    if len(chosen) != 1:
        raise typer.BadParameter(f"give one of {options}")
    return chosen[0]()
