# SPDX-License-Identifier: Apache-2.0
"""Refuses an option that is given twice with values where it takes one: the first would be dropped without a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from armillary.errors import InvalidArgumentError


def refuse_doubled(command: Any, arguments: Sequence[str]) -> None:
    """Look at the words of a command line; ``command`` is the command behind its noun.

    What is misspelt or incomplete is left to the command, which says so.

    Raises:
        InvalidArgumentError: an option that takes one value has two.
    """
    words = list(arguments)
    while words and hasattr(command, "commands"):
        command = command.commands.get(words.pop(0))
    if command is None or hasattr(command, "commands"):
        return
    options = {name: each for each in command.params for name in each.opts if each.param_type_name == "option"}
    seen: dict[str, str] = {}  # By the parameter, the name that it had
    while words and words[0] != "--":
        name, joined, _ = words.pop(0).partition("=")
        option = options.get(name)
        if option is None or option.is_flag or option.count:
            continue
        if not joined:
            del words[: option.nargs]
        before = seen.get(option.name)
        seen[option.name] = name
        if before is not None and not option.multiple:
            names = " or ".join(dict.fromkeys((before, name)))
            raise InvalidArgumentError(f"{name}: expected one value, got two", remedy=f"Give {names} once.")
