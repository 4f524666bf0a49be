# SPDX-License-Identifier: Apache-2.0
"""Organisations, roles and users in IoT Central's shape. There are no users here: people and scripts have tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from armillary.api.central.call import Call, body_object, check_fields, check_id, cursor, field, paged, paged_list
from armillary.api.central.documents import documents
from armillary.engines.documents.document import Document
from armillary.errors import NotFoundError
from armillary.platform.authored.documents import is_visible

KIND: Final = "organisation"
FIELDS: Final = ("displayName", "id", "parent")
# Public identifiers of IoT Central's roles -> (their name there, ours). Of several, the first is shown.
ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "ca310b8d-2f4a-44e0-a36e-957c202cd8d4": ("Administrator", "Administrator"),
    "344138e9-8de4-4497-8c54-5237e96d6aaf": ("Builder", "Contributor"),
    "ae2c9854-393b-4f97-8c42-479d70ce626e": ("Operator", "Reader"),
    "c495eb57-eb18-489e-9802-62c474e5645c": ("Org Administrator", "Administrator"),
    "84cc62c1-dabe-49d3-b16e-8b291232b285": ("Org Viewer", "Reader"),
    "b4935647-30e4-4ed3-9074-dcac66c2f8ef": ("Org Operator", "Reader"),
}
_TOKENS: Final = "List the tokens: GET /api/apiTokens."
ORGANISATION_ROLES: Final = frozenset(list(ROLES)[3:])


def list_organizations(call: Call) -> dict[str, Any]:
    """Organisations by id; a token of one lists it and those below."""
    return paged(call, _seen(call, cursor(call)), lambda each: each.id, document)


def get_organization(call: Call) -> dict[str, Any]:
    """An organisation."""
    return document(_visible(call))


def put_organization(call: Call) -> dict[str, Any]:
    """Make or change an organisation; the tree has at most five levels."""
    return _put(call, body_object(call), call.platform.documents.find(KIND, _given(call)))


def patch_organization(call: Call) -> dict[str, Any]:
    """Change what the body says of an organisation."""
    before = _visible(call)
    return _put(call, {**document(before), **body_object(call)}, before)


def delete_organization(call: Call) -> None:
    """Delete an organisation that has nothing below it, no devices and no tokens."""
    call.platform.organisation_operations.delete(call.actor, _given(call), call.owner, call.if_match)


def list_roles(call: Call) -> dict[str, Any]:
    """IoT Central's roles, by their public identifiers."""
    return paged_list(call, list(ROLES), str, _role)


def get_role(call: Call) -> dict[str, Any]:
    """A role."""
    if call.parameters["role"] not in ROLES:
        raise NotFoundError(f"there is no role {call.parameters['role']!a:.80}", remedy="List them: GET /api/roles.")
    return _role(call.parameters["role"])


def no_users(_: Call) -> dict[str, Any]:
    """404: there are no users here."""
    raise NotFoundError(
        "there are no users here: people and scripts have tokens", remedy="List them: GET /api/apiTokens."
    )


def document(found: Document) -> dict[str, Any]:
    """An organisation in IoT Central's form."""
    shown = {"id": found.id, "displayName": found.content.get("name")}
    parent = found.content.get("parent")
    return shown if parent is None else {**shown, "parent": parent}


def _given(call: Call) -> str:
    return call.parameters["organisation"]


def _visible(call: Call) -> Document:
    return call.platform.authored.visible(KIND, _given(call), call.owner)


def _seen(call: Call, after: str) -> Iterator[Document]:
    root, owner = call.operator.organisation, call.owner
    reach = None if root is None else call.platform.organisations.subtree(root)
    for each in documents(call, KIND, after):
        if is_visible(each, owner) and (reach is None or each.id in reach):
            yield each


def _put(call: Call, body: Mapping[str, Any], before: Document | None) -> dict[str, Any]:
    check_fields("organization", body, FIELDS)
    check_id(body, _given(call))
    kept = "" if before is None else str(before.content.get("description", ""))
    made = {
        "name": field(body, "displayName", str, default=_given(call)),
        "description": kept,
        "parent": field(body, "parent", str),
    }
    call.platform.organisation_operations.put(call.actor, _given(call), made, call.owner, call.if_match)
    return document(_visible(call))


def _role(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "displayName": ROLES[identifier][0]}
