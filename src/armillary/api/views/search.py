# SPDX-License-Identifier: Apache-2.0
"""One search over everything that an operator may see, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from armillary.errors import InvalidArgumentError
from armillary.identity.operator import Operator
from armillary.platform.authored import search as authored
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS
from armillary.wire.text.given_text import unseen

if TYPE_CHECKING:
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]

# In the order of the answer: what people look for most comes first. ``device`` is of both kinds of devices.
KINDS: Final = (
    "device", *authored.KINDS, "device-group", "product", "catalog", "image", "release", "rollout", "finding",
)  # fmt: skip
# Kinds that are the same for all catalogs: whoever speaks for one catalog is not shown their list either.
OF_NO_CATALOG: Final = frozenset({"release"})
# Hits of a kind that are counted: beyond that a more exact text helps, and a longer list does not.
MAX_COUNTED: Final = 100


def search(
    service: SecurityService,
    platform: Platform,
    operator: Operator,
    text: str,
    *,
    catalog: str | None,
    kinds: Sequence[str] = (),
    limit: int,
) -> Document:
    """The first ``limit`` hits of each kind as ``items``, and in ``kinds`` how many of each there are.

    ``text`` is a name, an id, or the beginning of one; ``catalog`` the only catalog to look in, None for all, which the
    operator then speaks for; ``kinds`` are some of :data:`KINDS`, empty for all that the operator may see.

    Raises:
        InvalidArgumentError: the text is empty, too long, or has characters that nobody sees; or there is no such kind.
        NotFoundError: no such catalog.
    """
    wanted, items, counts = checked_text(text), list[Document](), list[Document]()
    for kind in seen_by(operator, kinds):
        hits, count = _hits(service, platform, operator, kind, wanted, catalog=catalog, limit=limit)
        items += hits
        if hits:
            counts.append({"kind": kind, "count": min(count, MAX_COUNTED), "is_cut": count > MAX_COUNTED})
    return {"text": wanted, "items": items, "kinds": counts, "next": None}


def seen_by(operator: Operator, kinds: Sequence[str] = ()) -> list[str]:
    """The kinds that an operator may look for, of some or of all. Raises InvalidArgumentError for an unknown one."""
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidArgumentError(f"kind: expected one of {', '.join(KINDS)}, got {kind!a:.40}")
    wanted = [kind for kind in KINDS if not kinds or kind in kinds]
    if operator.organisation is not None:
        return [kind for kind in wanted if kind == "device"]
    return [kind for kind in wanted if operator.catalog is None or kind not in OF_NO_CATALOG]


def checked_text(given: str) -> str:
    """The text without spaces around it. Raises InvalidArgumentError, as :func:`search`."""
    text = given.strip()
    hidden = unseen(text)
    if not text or len(text) > MAX_NAME_CHARACTERS or hidden:
        got = f"the character {hidden}" if hidden else f"{len(text)} characters"
        raise InvalidArgumentError(
            f"q: expected 1 to {MAX_NAME_CHARACTERS} printable characters, got {got}",
            remedy="Type a name, an id, or the beginning of one.",
        )
    return text


def _hits(
    service: SecurityService,
    platform: Platform,
    operator: Operator,
    kind: str,
    text: str,
    *,
    catalog: str | None,
    limit: int,
) -> tuple[list[Document], int]:
    """The first hits of a kind, and how many there are; one more than are counted stands for all further ones."""
    most = MAX_COUNTED + 1
    if kind == "device":
        among = None
        if operator.organisation is not None:
            reach = platform.organisations.subtree(operator.organisation)
            among = lambda device_id: platform.organisations.of_device(device_id) in reach  # noqa: E731 - short
        devices, count = service.search.devices(text, catalog=catalog, limit=limit, most=most, among=among)
        return [asdict(each) for each in devices], count
    if kind in authored.KINDS:
        titled = authored.find(platform.documents, kind, text, catalog=catalog, limit=most)
        empty = {"note": "", "product": None, "group": None}
        return [{**empty, **each} for each in titled[:limit]], len(titled)
    found = service.search.find(kind, text, catalog=catalog, limit=most)
    return [asdict(each) for each in found[:limit]], len(found)
