# SPDX-License-Identifier: Apache-2.0
"""Earlier names of options: scripts that say them go on, help shows today's names alone.

What means the same has one name: ``--output-file`` is a file that is written and ``--output-directory`` a folder,
``--start`` and ``--end`` are a span of time, ``--segment`` a segment and ``--os-feed`` an OS feed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_FILE: Final = {"--output": "--output-file"}
_OUT: Final = {"--out": "--output-file"}
# The words of a verb, and its options: earlier name -> today's.
EARLIER_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "audit checkpoint": _OUT,
    "audit list": {"--since": "--start", "--until": "--end"},
    "audit prove": _OUT,
    "device file download": _FILE,
    "factory run": {"--output": "--output-directory"},
    "guardian firmware sign": _OUT,
    "guardian image": {"--out": "--output-directory"},
    "guardian profile key new": _OUT,
    "guardian profile sign": _OUT,
    "guardian recipe sign": _OUT,
    "image get-sbom": _FILE,
    "release export-corim": _FILE,
    "release get-sbom": _FILE,
    "rollout create-os": {"--feed": "--os-feed"},
    "telemetry export": {**_FILE, "--from": "--start", "--to": "--end"},
}


def with_present_names(arguments: Sequence[str]) -> list[str]:
    """The words of a command line, with today's names of its options."""
    for verb, names in EARLIER_OPTIONS.items():
        words = verb.split()
        if list(arguments[: len(words)]) == words:
            return [_present(each, names) for each in arguments]
    return list(arguments)


def _present(word: str, names: Mapping[str, str]) -> str:
    name, sign, value = word.partition("=")
    return f"{names.get(name, name)}{sign}{value}"
