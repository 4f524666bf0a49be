# SPDX-License-Identifier: Apache-2.0
"""Resolves ids of which a person wrote the first digits, and shortens them in tables.

Ids of 128 bits (RFC 9562) are those of actions, cases, crash dumps, deployments, findings, images and roll-outs; keys
have ids of 256 bits.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from armillary.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError

_WHOLE: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{64}")
# Four digits or more: fewer are a slip.
_BEGINNING: Final = re.compile(r"[0-9A-Fa-f]{4}[0-9A-Fa-f-]{0,59}")
# Digits of an id in a table. Of a million ids one in four thousand begins as another does; an error lists both then.
SHORT_DIGITS: Final = 8
# Things that an error lists where one was meant.
_LISTED: Final = 8

# Ids with what people call them.
Listed = Callable[[], Iterable[tuple[str, str]]]


class Lists(Protocol):
    """Whoever has lists of what there is: the operator API."""

    def pages(self, path: str, *, limit: int | None = None, **query: object) -> Iterable[dict[str, Any]]:
        """Items of a native list."""


@dataclass(frozen=True, slots=True)
class IdReference:
    """Marks an option that takes an id, or its first digits; the command gets the id that is meant.

    ``noun`` is whose ids they are, ``path`` lists them, ``field`` has the id in such a list, ``label`` what tells
    people one from another.
    """

    noun: str
    path: str
    field: str
    label: str

    def resolve(self, lists: Lists, text: str, catalog: str | None) -> str:
        """The id that ``text`` means. Raises as :func:`resolve_ids`."""

        def listed() -> Iterable[tuple[str, str]]:
            found = lists.pages(self.path, catalog=catalog)
            return ((each[self.field], str(each[self.label])) for each in found)

        try:
            return resolve_ids([text], listed, self.noun)[0]
        except PermissionDeniedError:
            return text  # a token of one catalog that names none: the id itself, then


ACTION: Final = IdReference("action", "/actions", "action_id", "kind")
CASE: Final = IdReference("case", "/cases", "case_id", "title")
CRASH_DUMP: Final = IdReference("crash-dump", "/crash-dumps", "dump_id", "signal")
FINDING: Final = IdReference("finding", "/findings", "finding_id", "title")
ROLLOUT: Final = IdReference("rollout", "/rollouts", "rollout_id", "state")


def resolve_references(lists: Lists, kinds: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a person wrote them, with whole ids where an :class:`IdReference` marks their kind.

    Raises as :func:`resolve_ids`.
    """
    found = dict(values)
    for name, value in values.items():
        marker = next((each for each in typing.get_args(kinds.get(name)) if isinstance(each, IdReference)), None)
        if marker is not None and value:
            found[name] = marker.resolve(lists, value, values.get("catalog"))
    return found


def resolve_ids(texts: Sequence[str], listed: Listed, noun: str, *, lists: str = "") -> list[str]:
    """The ids that ``texts`` mean among those of ``listed``, which is asked only where one is a beginning.

    Whole ids, and what can be the beginning of none, are left for the service to judge. ``noun`` is what they are of,
    ``lists`` the command that lists them where it is not ``armillary NOUN list``.

    Raises:
        NotFoundError: no id begins so.
        InvalidArgumentError: several do.
    """
    beginnings = {each for each in texts if _BEGINNING.fullmatch(each) and not _WHOLE.fullmatch(each)}
    if not beginnings:
        return list(texts)
    known = list(listed())
    command = lists or f"armillary {noun} list"
    return [_meant(known, each, noun, command) if each in beginnings else each for each in texts]


def short(text: str) -> str:
    """The first digits of an id, which commands take for all of it; any other text as it is."""
    return text[:SHORT_DIGITS] if _WHOLE.fullmatch(text) else text


def with_short(row: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    """A row of a table whose ids in ``fields`` are as short as commands take them."""
    return {**row, **{name: short(row[name]) for name in fields if isinstance(row.get(name), str)}}


def _meant(known: Sequence[tuple[str, str]], text: str, noun: str, lists: str) -> str:
    found = [each for each in known if each[0].lower().startswith(text.lower())]
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise NotFoundError(f"there is no {noun} whose id begins with {text!a}", remedy=f"List them: {lists}.")
    several = ", ".join(f"{each} ({name})" for each, name in found[:_LISTED])
    more = ", ..." if len(found) > _LISTED else ""
    raise InvalidArgumentError(
        f"{text!a} is the beginning of {len(found)} ids: {several}{more}", remedy="Give more digits of one."
    )
