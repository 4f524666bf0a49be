# SPDX-License-Identifier: Apache-2.0
"""Reads options that are nothing but names with values, without the library of the command line (1.9 MB, 25 ms).

A command that goes on for months starts so. All other options (``--help``, misspelt ones, bad numbers) are left to the
command, which answers them as every command does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

JSON: Final = {"--json": "as_json"}
MAX_PORT: Final = 65535
# No port has more; Python refuses to read a number of thousands.
_PORT_DIGITS: Final = 5


def plain_options(
    arguments: Sequence[str],
    readers: Mapping[str, Callable[[str], object]],
    *,
    flags: Mapping[str, str] = JSON,
    repeatable: Collection[str] = (),
) -> dict[str, object] | None:
    """The options by name, what is ``repeatable`` as a list; None where the command must read them.

    That is: an option that is unknown, given twice or without a value, a value that could be an option, or one that its
    reader does not take (ValueError). ``flags``: an option without a value -> the name under which it is True.
    """
    found: dict[str, object] = {}
    several: dict[str, list[object]] = {}
    rest = list(arguments)
    while rest:
        given = rest.pop(0)
        value: object = True
        if given in flags:
            name = flags[given]
        else:
            option, joined, text = given.partition("=")
            name = option.removeprefix("--").replace("-", "_")
            if name not in readers or option != f"--{name.replace('_', '-')}":
                return None
            if not joined:
                text = rest.pop(0) if rest else ""
            if not text or text.startswith("-"):
                return None
            try:
                value = readers[name](text)
            except ValueError:
                return None
        if name in repeatable:
            several.setdefault(name, []).append(value)
        elif name in found:
            return None
        else:
            found[name] = value
    return found | several


def port(text: str) -> int:
    """A port as plain options have it, 0 for a free one; ValueError if it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= _PORT_DIGITS and int(text) <= MAX_PORT):
        raise ValueError(f"expected a port, got {text!a:.60}")
    return int(text)
