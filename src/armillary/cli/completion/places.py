# SPDX-License-Identifier: Apache-2.0
"""What can stand where on the command line, read from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Names that click gives to kinds of paths: a file or folder, one that must be a file, one that must be a folder.
PATHS: Final = frozenset({"path", "file", "directory"})

# Options that take the name or the id of something in the service, and the kind of it (``names.KINDS``).
NAMED: Final[Mapping[str, str]] = {
    "--catalog": "catalog",
    "--dashboard": "dashboard",
    "--device": "device",
    "--devices": "device",
    "--product": "product",
    "--rule": "rule",
    "--segment": "segment",
}
# What help calls such a value; an option of the same name that takes something else (a number) calls it otherwise.
NAMES: Final = frozenset({"NAME", "ID", "IDS", "DEVICE"})


@dataclass(frozen=True, slots=True)
class Word:
    """A verb or an option, and what it is for."""

    text: str
    about: str


@dataclass(frozen=True, slots=True)
class Place:
    """What can follow a command such as ``("device", "list")``; ``()`` is ``armillary`` itself.

    ``values``: of an option that takes one, its possible values; none for a file or folder; no entry for flags, for
    free text (``free``), and for what has a name in the service (``named``: option -> kind, see ``names.KINDS``).
    """

    path: tuple[str, ...]
    verbs: tuple[Word, ...]
    options: tuple[Word, ...]
    values: Mapping[str, tuple[str, ...]]
    free: tuple[str, ...]
    named: Mapping[str, str]


def places(commands: Mapping[str, Any], abouts: Mapping[str, str]) -> list[Place]:
    """All places of the command line: nouns, their verbs, and so on down."""
    nouns = tuple(Word(name, about) for name, about in abouts.items())
    top = Place((), nouns, (Word("--version", "Print the version."), Word("--help", "Show help.")), {}, (), {})
    return [top, *(each for name, command in commands.items() for each in _below(command, (name,)))]


def _below(command: Any, path: tuple[str, ...]) -> Iterator[Place]:
    children: Mapping[str, Any] = getattr(command, "commands", {})
    verbs = tuple(Word(name, child.get_short_help_str(80)) for name, child in children.items())
    options: list[Word] = []
    values: dict[str, tuple[str, ...]] = {}
    free: list[str] = []
    named: dict[str, str] = {}
    for each in command.params:
        if each.param_type_name != "option":
            continue
        options += [Word(name, each.help or "") for name in (*each.opts, *each.secondary_opts) if name.startswith("--")]
        if each.is_flag:
            continue
        possible = _values(each.type)
        kind = _named(each)
        if kind is not None:
            named |= dict.fromkeys(each.opts, kind)
        elif possible is None:
            free += each.opts
        else:
            values |= dict.fromkeys(each.opts, possible)
    options.append(Word("--help", "Show help."))
    yield Place(path, verbs, tuple(options), values, tuple(free), named)
    for name, child in children.items():
        yield from _below(child, (*path, name))


def _named(option: Any) -> str | None:
    """The kind of names of which an option takes one, None for other options."""
    if option.metavar not in NAMES:
        return None
    return next((kind for name in option.opts if (kind := NAMED.get(name)) is not None), None)


def _values(kind: Any) -> tuple[str, ...] | None:
    """The values that an option of this kind can have, none of them for a file's path; None for any text."""
    if kind.name == "choice":
        return tuple(map(str, kind.choices))
    return () if kind.name in PATHS else None
