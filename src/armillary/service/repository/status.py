# SPDX-License-Identifier: Apache-2.0
"""How the repository stands: for each role its version, end, keys, and whether they are online. Imports ``tuf``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Key

from armillary.service.repository.edition import Edition, key_ids
from armillary.service.repository.keys import RepositoryKeys
from armillary.service.repository.roles import DIRECTOR, parent_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKey:
    """A key of a role."""

    key_id: str
    online: bool  # whether the service holds its private half
    public_key: str  # PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStatus:
    """A role as it is in force; times are Unix seconds UTC."""

    role: str
    version: int  # 0 for the director, which has no metadata of its own
    expires_at: int | None
    threshold: int
    keys: tuple[RoleKey, ...]
    targets: int  # artifacts that it names

    @property
    def custody(self) -> str:
        """``online`` if the service alone can sign for it, ``offline`` if it holds no key of it, else ``mixed``."""
        held = sum(key.online for key in self.keys)
        if held >= self.threshold:
            return "online"
        return "mixed" if held else "offline"


def role_statuses(edition: Edition, keys: RepositoryKeys) -> tuple[RoleStatus, ...]:
    """Every role, from root down."""
    roles = list(edition.roles)
    roles.append(DIRECTOR)
    return tuple(_status(edition, keys, role) for role in roles)


def role_keys(edition: Edition) -> dict[str, list[str]]:
    """Role -> the ids of its keys."""
    return {role: key_ids(edition.get(parent_of(role)), role) for role in (*edition.roles, DIRECTOR)}


def _status(edition: Edition, keys: RepositoryKeys, role: str) -> RoleStatus:
    delegator: Any = edition.get(parent_of(role))
    given = delegator.signed.get_delegated_role(role)
    metadata = edition.get(role)
    online = keys.online(role, given.keyids)
    named = [(key_id, delegator.signed.get_key(key_id)) for key_id in given.keyids]
    return RoleStatus(
        role=role,
        version=0 if metadata is None else metadata.signed.version,
        expires_at=None if metadata is None else int(metadata.signed.expires.timestamp()),
        threshold=given.threshold,
        keys=tuple(RoleKey(key_id=key_id, online=key_id in online, public_key=public_of(key)) for key_id, key in named),
        targets=len(getattr(metadata.signed, "targets", ())) if metadata is not None else 0,
    )


def public_of(key: Key) -> str:
    """The PEM of a key."""
    return str(key.keyval["public"])
