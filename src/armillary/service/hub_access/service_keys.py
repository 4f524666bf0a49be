# SPDX-License-Identifier: Apache-2.0
"""Keys of services that sign their requests as IoT Hub's do (shared access policies): a name, a role, one catalog.

A signature stands for a token of one catalog with the key's role; the key itself is shown when it is made. Whoever
signs with one that reveals keys sees the symmetric keys of the catalog's hub devices (IoT Hub's ``registryRead``); no
other way shows them again.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from armillary.engines.records.queries import hub as hub_rows
from armillary.engines.records.queries.hub import HubServiceKey
from armillary.engines.records.schema.rows import ROLES, Token
from armillary.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    SignatureError,
    UnauthenticatedError,
    WireError,
)
from armillary.service.authority.server_certificate import server_hosts
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.hub_access.identities import HubIdentities
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.hub.sas_token import KEY_BYTES, parse_sas_token, verify_sas_token
from armillary.wire.text.web_address import split_web_address

# Of one catalog; IoT Hub has five policies to begin with.
MAX_KEYS: Final = 50
KEY_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"  # for descriptions (JSON Schema)
_NAME: Final = re.compile(KEY_PATTERN)
# Roles whose bearers could set every device's keys anyway: seeing them is no more.
REVEALING_ROLES: Final = ("Contributor", "Administrator")
_LIST: Final = "List them: armillary hub-service-key list."


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealingToken(Token):
    """The token of a request that a key with ``reveals_keys`` has signed."""


class HubServiceKeys:
    """Makes, lists, removes and checks the keys of services. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, identities: HubIdentities, notices: Notices) -> None:
        self._context = context
        self._identities = identities
        self._notices = notices

    def create(
        self, catalog: str, name: str, role: str, *, actor: str, reveals_keys: bool = False
    ) -> tuple[HubServiceKey, bytes]:
        """Make a key with an operator token's role; it comes back this once.

        The name has 1 to 64 letters, digits and ``._-``. With ``reveals_keys`` its bearer sees the symmetric keys of
        devices.

        Raises:
            InvalidArgumentError: name or role, or a role that may not see keys.
            ConflictError: there is one of this name, or as many as there may be.
        """
        if _NAME.fullmatch(name) is None or role not in ROLES:
            raise InvalidArgumentError(
                f"service key: expected a name of 1 to 64 letters, digits and ._- and one of {', '.join(ROLES)}",
                remedy="Such as: --name dashboards --role Reader.",
            )
        if reveals_keys and role not in REVEALING_ROLES:
            raise InvalidArgumentError(
                f"reveals_keys: expected the role {' or '.join(REVEALING_ROLES)}, got {role}",
                remedy="A Reader sees no keys; make the key with another role, or without reveals_keys.",
            )
        key = os.urandom(KEY_BYTES)

        def change(connection: Connection) -> HubServiceKey:
            owner = catalog_or_raise(connection, catalog)
            present = hub_rows.service_keys(connection, owner.catalog_id)
            if any(each.name == name for each in present) or len(present) >= MAX_KEYS:
                raise ConflictError(f"catalog {owner.name} has a key {name}, or {MAX_KEYS} of them", remedy=_LIST)
            made = HubServiceKey(
                catalog_id=owner.catalog_id,
                name=name,
                role=role,
                sealed=self._identities.sealer.seal(key, _purpose(owner.catalog_id, name)),
                reveals_keys=reveals_keys,
                created_at=self._context.now(),
                created_by=actor,
            )
            hub_rows.add_service_key(connection, made)
            detail = {"catalog": owner.name, "role": role, "reveals_keys": reveals_keys}
            self._context.audit(connection, actor, "hub-service-key.create", name, detail)
            return made

        try:
            made = self._context.records.write(change)
        except IntegrityError as error:
            raise ConflictError(f"there is a key {name} already", remedy=_LIST) from error
        self._notices.hub_trust_changed()
        return made, key

    def list(self, catalog: str) -> tuple[HubServiceKey, ...]:
        """A catalog's keys by name."""
        return self._context.records.read(lambda c: hub_rows.service_keys(c, catalog_or_raise(c, catalog).catalog_id))

    def remove(self, catalog: str, name: str, *, actor: str) -> None:
        """Make a key useless at once; NotFoundError if the catalog or the key does not exist."""

        def change(connection: Connection) -> None:
            owner = catalog_or_raise(connection, catalog)
            if not hub_rows.remove_service_key(connection, owner.catalog_id, name):
                raise NotFoundError(f"catalog {owner.name} has no service key {name!r:.60}", remedy=_LIST)
            self._context.audit(connection, actor, "hub-service-key.delete", name, {"catalog": owner.name})

        self._context.records.write(change)
        self._notices.hub_trust_changed()

    def authenticate(self, header: str) -> Token:
        """The token, of one catalog, that a signed request stands for.

        UnauthenticatedError if no key signed it, or it has expired; the message does not say which.
        """
        try:
            parsed = parse_sas_token(header)
            self._check_whole(parsed.resource)
            found = self._context.records.read(lambda c: hub_rows.service_keys(c, None, parsed.policy))
            for each in found:
                key = self._identities.sealer.open(each.sealed, _purpose(each.catalog_id, each.name))
                try:
                    ends = verify_sas_token(parsed, resource=parsed.resource, keys=[key], now=self._context.now())
                except SignatureError:
                    continue
                return _as_token(each, ends)
        except WireError:
            pass
        raise UnauthenticatedError("the shared access signature is not valid")

    def _check_whole(self, resource: str) -> None:
        """Raise UnauthenticatedError for a signature that is for a part of a hub, or for another host."""
        place = resource.rpartition("://")[2].rstrip("/")
        try:
            host = split_web_address(f"https://{place}").hostname or ""
        except ValueError:
            host = ""
        if "/" in place or host.lower() not in {each.lower() for each in server_hosts(self._context.settings)}:
            raise UnauthenticatedError("the shared access signature is not for the whole of this hub")


def _as_token(found: HubServiceKey, ends: int) -> Token:
    kind = RevealingToken if found.reveals_keys else Token
    return kind(
        token_id=uuid5(NAMESPACE_URL, f"urn:armillary:hub-service-key:{found.catalog_id}:{found.name}"),
        name=f"hub-service-key {found.name}",
        role=found.role,
        created_at=found.created_at,
        created_by=found.created_by,
        expires_at=ends,
        last_used_at=None,
        revoked_at=None,
        catalog_id=found.catalog_id,
    )


def _purpose(catalog_id: object, name: str) -> str:
    return f"hub service key {catalog_id} {name}"
