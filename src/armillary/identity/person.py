# SPDX-License-Identifier: Apache-2.0
"""People: what each is granted, and what a provider's groups grant. Pure.

A grant is exactly what an operator token has: a role, and the only catalog and organisation that it reaches. A person
acts by one grant at a time, as an :class:`Operator`, so that every check of tokens holds for people as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from armillary.errors import InvalidArgumentError

ROLES: Final = ("Reader", "Contributor", "Administrator")
ACTIVE: Final = "active"
DISABLED: Final = "disabled"
# Who made a grant: an administrator, or the groups of the provider, which set theirs anew at each sign-in.
BY_ADMINISTRATOR: Final = "administrator"
BY_PROVIDER: Final = "provider"
# More of one person could not be chosen from in a menu; more groups of one token are no person's.
MAX_GRANTS: Final = 32
MAX_GROUPS: Final = 2000
# The longest e-mail address (RFC 5321 §4.5.3.1, erratum 1690).
MAX_EMAIL_CHARS: Final = 254
MAX_NAME_CHARS: Final = 128
_MAPPING_REMEDY: Final = "Write GROUP=ROLE, GROUP=ROLE@CATALOG or GROUP=ROLE@CATALOG/ORGANISATION, commas between."


@dataclass(frozen=True, slots=True)
class GroupGrant:
    """What members of a group of the provider are granted; names as they are written in the setting."""

    group: str
    role: str
    catalog: str | None
    organisation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who came back from the provider: what its verified claims say.

    Attributes:
        email: Lower case, and verified by the provider; "" for none.
        name: What the person is called; "" for nothing that can be shown.
    """

    issuer: str
    subject: str
    email: str
    name: str
    groups: tuple[str, ...]

    @property
    def login(self) -> str:
        """What the audit log calls the person: the address, or the subject at the provider's host."""
        return self.email or login_of(self.subject, self.issuer)


def login_of(subject: str, issuer: str) -> str:
    """What the audit log calls a person of whom no address is known. It has an ``@``, which no service actor has."""
    return f"{subject}@{urlsplit(issuer).hostname or issuer}"


def group_grants(setting: str) -> tuple[GroupGrant, ...]:
    """Read the setting ``oidc_grants``. Raises InvalidArgumentError, which names the part that is wrong."""
    found = []
    for part in (each.strip() for each in setting.split(",")):
        if not part:
            continue
        group, equals, granted = (each.strip() for each in part.rpartition("="))
        role, at, place = granted.partition("@")
        catalog, slash, organisation = place.partition("/")
        if not (equals and group and role in ROLES) or (at and not catalog) or (slash and not organisation):
            raise InvalidArgumentError(
                f"oidc_grants: expected a group, = and one of {', '.join(ROLES)}, got {part!r:.80}",
                remedy=_MAPPING_REMEDY,
            )
        found.append(GroupGrant(group, role, catalog or None, organisation or None))
    return tuple(found)


def granted_to(groups: Sequence[str], mapping: Sequence[GroupGrant]) -> tuple[GroupGrant, ...]:
    """What the members of these groups are granted, in the order of the setting."""
    mine = frozenset(groups)
    return tuple(each for each in mapping if each.group in mine)[:MAX_GRANTS]


def profile_of(claims: Mapping[str, Any], *, issuer: str, names: Mapping[str, str]) -> Profile:
    """The profile that verified claims say; ``names`` are those of the claims ``name``, ``email`` and ``groups``.

    An address counts only where the provider says that it has verified it (``email_verified`` is ``true``): others can
    be typed in by anybody, and would open the place of whoever was invited.
    """
    email = claims.get(names["email"])
    # ``email_verified`` is about ``email`` (Core §5.1): an address in another claim counts where both are the same.
    is_verified = claims.get("email_verified") is True and email == claims.get("email")
    groups = claims.get(names["groups"])
    listed = groups if isinstance(groups, list) else [groups]
    return Profile(
        issuer=issuer,
        subject=str(claims["sub"]),
        email=email.lower() if isinstance(email, str) and is_verified and is_email(email) else "",
        name=shown_name(claims.get(names["name"])),
        groups=tuple(each for each in listed[:MAX_GROUPS] if isinstance(each, str)),
    )


def shown_name(value: object) -> str:
    """A name that a provider says, as far as it can be shown: one line of visible characters, or ""."""
    text = value.strip()[:MAX_NAME_CHARS] if isinstance(value, str) else ""
    return text if text.isprintable() else ""


def is_email(text: str) -> bool:
    """Whether a text can be an address of a person: printable ASCII without spaces, one ``@`` inside."""
    user, at, host = text.partition("@")
    plain = text.isascii() and text.isprintable() and " " not in text and len(text) <= MAX_EMAIL_CHARS
    return plain and bool(user and at and host) and "@" not in host
