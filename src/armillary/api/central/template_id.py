# SPDX-License-Identifier: Apache-2.0
"""Identifiers of device templates in IoT Central's shape, and our names and versions of them.

There a template is one version, named by a model identifier. Ours is a name with published versions: its identifier is
the one that it came with, else ``dtmi:armillary:template_NAME;VERSION``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from armillary.api.central.call import Call
from armillary.errors import ArmillaryError, NotFoundError
from armillary.twin.template.name import MAX_NAME_CHARACTERS, check_name, identifier_word, made_identifier, published_id

if TYPE_CHECKING:
    from armillary.platform.platform import Platform

_OURS: Final = re.compile(r"dtmi:armillary:template_([a-z0-9_]+);([0-9]{1,6})")


class Resolved(NamedTuple):
    """A published version of a template."""

    name: str
    version: int


def template_id_of(platform: Platform, name: str, version: int) -> str:
    """The identifier of a published version, also of a deleted one."""
    kept = platform.documents.find("template", published_id(name, version))
    given = None if kept is None else kept.content.get("identifier")
    return str(given) if given else made_identifier(name, version)


def name_for(template_id: str) -> str:
    """The name that a template with this identifier gets: made of it, or the name itself."""
    if not template_id.startswith("dtmi:"):
        return check_name(template_id)
    found = re.sub(r"[^a-z0-9_]+", "-", template_id.removeprefix("dtmi:").lower()).strip("-_")
    return check_name(found[:MAX_NAME_CHARACTERS])


def resolve(call: Call, template_id: str) -> Resolved:
    """The published version that an identifier names; of a name, the newest.

    Two catalogs may have templates with one identifier: each finds its own.

    Raises:
        NotFoundError: there is none that the caller's catalog may use.
    """
    for found in _named(call, template_id):
        try:
            if call.operator.catalog_id is not None:
                check_reach(call, found, template_id)
        except NotFoundError:
            continue
        return found
    raise absent(template_id)


def _named(call: Call, template_id: str) -> Iterator[Resolved]:
    """The versions that an identifier names, of any catalog."""
    names = call.platform.templates.names()
    ours = _OURS.fullmatch(template_id)
    if ours is not None:
        for name, versions in names.items():
            if identifier_word(name) == ours[1] and int(ours[2]) in versions:
                yield Resolved(name, int(ours[2]))
    elif not template_id.startswith("dtmi:"):
        if names.get(template_id):
            yield Resolved(template_id, names[template_id][-1])
    else:
        candidates = [name_for(template_id), *names]  # a template that was made here has its name from its identifier
        for name in dict.fromkeys(candidates):
            if names.get(name) and template_id_of(call.platform, name, names[name][-1]) == template_id:
                yield Resolved(name, names[name][-1])


def check_reach(call: Call, found: Resolved, template_id: str) -> None:
    """Raise NotFoundError unless the template is of the caller's catalog or of all, and can be read."""
    try:
        owner = call.platform.templates.get(*found).template.catalog
    except ArmillaryError as error:
        raise absent(template_id) from error
    if owner is not None and owner.lower() != call.catalog.name.lower():
        raise absent(template_id)


def absent(template_id: str) -> NotFoundError:
    """The error for a template that is not there."""
    return NotFoundError(
        f"there is no published template {template_id!a:.100}", remedy="List them: GET /api/deviceTemplates."
    )
