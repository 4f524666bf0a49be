# SPDX-License-Identifier: Apache-2.0
"""API tokens in IoT Central's shape: operator tokens of one catalog, shown once in the form that its scripts send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from armillary.api.central.access import ORGANISATION_ROLES, ROLES
from armillary.api.central.call import Call, body_object, check_fields, field, paged_list, wrong
from armillary.engines.records.schema.rows import Token
from armillary.errors import ConflictError, NotFoundError
from armillary.twin.central.job import iso, moment
from armillary.wire.hub.api_token import encode_api_token

if TYPE_CHECKING:
    from collections.abc import Sequence

FIELDS: Final = ("expiry", "id", "roles", "token")
# Of one for which nobody says otherwise, as there (seconds).
LIFETIME_S: Final = 365 * 86_400

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def list_tokens(call: Call) -> dict[str, Any]:
    """Tokens of this catalog that are still good, by id, without their secrets."""
    return paged_list(call, _mine(call), _id, document)


def get_token(call: Call) -> dict[str, Any]:
    """A token, without its secret."""
    return document(_named(call)[0])


def put_token(call: Call) -> dict[str, Any]:
    """Make a token of this catalog, or of an organisation of it; the token is in this answer and nowhere else."""
    body, name = body_object(call), call.parameters["token"]
    check_fields("token", body, FIELDS)
    if _ID.fullmatch(name) is None:
        raise wrong("id", "1 to 64 letters, digits, _ and -", name)
    if any(each.name == name for each in _mine(call)):
        raise ConflictError(f"token {name!a:.80} exists already", remedy="Delete it first, or choose another id.")
    role, organisation = _assigned(call, body)
    made = call.service.tokens.create(
        name,
        role,
        actor=call.operator.name,
        expires_at=_expiry(call, body),
        catalog=call.catalog.name,
        organisation=organisation,
        maker=None if call.operator.catalog_id is None else call.operator,
    )
    token = encode_api_token(made.secret, application=call.catalog.name, name=name, expires_at=made.token.expires_at)
    return {**document(made.token), "token": token}


def delete_token(call: Call) -> None:
    """Make a token useless at once."""
    for each in _named(call):
        call.service.tokens.revoke(each.token_id, actor=call.operator.name)


def document(token: Token) -> dict[str, Any]:
    """A token in IoT Central's form."""
    in_organisation = token.organisation is not None
    role = next(
        identifier
        for identifier, (_, ours) in sorted(
            ROLES.items(), key=lambda item: (item[0] in ORGANISATION_ROLES) is not in_organisation
        )
        if ours == token.role
    )
    assignment = {"role": role, **({"organization": token.organisation} if in_organisation else {})}
    shown: dict[str, Any] = {"id": _id(token), "roles": [assignment]}
    return shown if token.expires_at is None else {**shown, "expiry": iso(token.expires_at)}


def _id(token: Token) -> str:
    """The token's name, or its id where the name cannot be an id of this API."""
    return token.name if _ID.fullmatch(token.name) else str(token.token_id)


def _mine(call: Call) -> Sequence[Token]:
    owner, now = call.catalog.catalog_id, call.service.context.now()
    return [
        each
        for each in call.service.tokens.list()
        if each.catalog_id == owner and each.revoked_at is None and (each.expires_at is None or now < each.expires_at)
    ]


def _named(call: Call) -> Sequence[Token]:
    given = call.parameters["token"]
    found = [each for each in _mine(call) if _id(each) == given or str(each.token_id) == given.lower()]
    if not found:
        raise NotFoundError(f"there is no token {given!a:.80}", remedy="List them: GET /api/apiTokens.")
    return found


def _assigned(call: Call, body: Mapping[str, Any]) -> tuple[str, str | None]:
    roles: list[Any] = field(body, "roles", list, needed=True) or []
    if len(roles) != 1 or not isinstance(roles[0], Mapping):
        raise wrong("roles", "a list of one role assignment", roles)
    role, organisation = roles[0].get("role"), roles[0].get("organization")
    if not isinstance(role, str) or role not in ROLES:
        raise wrong("roles[0].role", "the id of a role: GET /api/roles lists them", role)
    if organisation is None and role in ORGANISATION_ROLES:
        raise wrong("roles[0].organization", "an organisation, as the role is of one", None)
    if organisation is not None:
        found = call.platform.organisations.all().get(organisation) if isinstance(organisation, str) else None
        if found is None or found.catalog.lower() != call.catalog.name.lower():
            raise NotFoundError(
                f"there is no organisation {organisation!a:.80}", remedy="List them: GET /api/organizations."
            )
    return ROLES[role][1], organisation


def _expiry(call: Call, body: Mapping[str, Any]) -> int:
    given = field(body, "expiry", str)
    if given is None:
        usual, end = call.service.context.now() + LIFETIME_S, call.operator.expires_at
        return usual if end is None else min(usual, end)
    try:
        return moment(given)
    except ValueError:
        raise wrong("expiry", "a time such as 2027-01-01T00:00:00Z", given) from None
