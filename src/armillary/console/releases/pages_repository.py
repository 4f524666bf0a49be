# SPDX-License-Identifier: Apache-2.0
"""The update repository: which keys may sign what, where they are, until when it holds, what waits. Pure.

First comes what somebody has to do: metadata that ends soon, signatures that are missing, keys of root and targets that
the service holds itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.frame.sheet import Cell, Section, Sheet, number, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, State
from armillary.console.frame.words import counted, joined, moment, sentence, short_id
from armillary.service.repository.roles import CATALOG_PREFIX, ONLINE_ALWAYS, terms

# Roles that people should take away from the service: they decide about all others.
OFFLINE_ABLE: Final = frozenset({"root", "targets"})
# What metadata of a role says.
_SAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "root": "whose keys the roles have",
        "targets": "who signs which artifacts",
        "snapshot": "which metadata belong together",
        "timestamp": "what is newest",
        "os": "the operating systems",
        "catalogs": "which keys catalogs have",
        "director": "what one device installs",
    }
)


# Why the keys of a role are always online.
_ALWAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "snapshot": "it changes with every edition",
        "timestamp": "it is signed daily",
        "catalogs": "a catalog is made without a ceremony",
        "director": "it answers check-ins",
    }
)


def custody_state(role: str, custody: str) -> State:
    """Where the keys of a role are. That the service alone may say who releases is drawn as a warning."""
    return State(ATTENTION if custody != "offline" and role in OFFLINE_ABLE else GOOD, custody)


def ends_state(role: Mapping[str, Any], now: int) -> str:
    """How urgent the end of a role's metadata is: BAD once it is over, ATTENTION while its renewal is late."""
    if role["expires_at"] is None:
        return GOOD
    if role["expires_at"] <= now:
        return BAD
    return ATTENTION if role["expires_at"] - now < terms(role["role"]).renew_s // 2 else GOOD


def repository_sheet(found: Mapping[str, Any], catalogs: Mapping[str, str], now: int) -> Sheet:
    """The page; ``catalogs`` are names by id."""
    notices = [(kind, says) for kind, says in _notices(found, catalogs, now) if says]
    return Sheet(
        place="Keys",
        heading="Keys of releases",
        title=_sentence(found),
        detail="A device installs what these roles have signed, and nothing else.",
        notices=tuple(notices),
        sections=(
            _waiting_section(found["waiting"], catalogs, now),
            Section(
                title="Roles",
                note="from root down; a role signs what it says, with so many of its keys",
                columns=("Role", "Keys are", "Signatures", "Ends", "Version", "Names"),
                rows=[_role(each, catalogs, now) for each in found["roles"]],
                none="It is made at the first publication.",
            ),
            Section(
                title="Keys",
                columns=("Key id", "Role", "Private half"),
                rows=[
                    (
                        Cell(ident=short_id(key["key_id"])),
                        text(_role_name(each["role"], catalogs)),
                        text("held by this service" if key["online"] else "elsewhere, offline"),
                    )
                    for each in found["roles"]
                    for key in each["keys"]
                ],
                none="",
            ),
        ),
        within="updates",
    )


def _notices(found: Mapping[str, Any], catalogs: Mapping[str, str], now: int) -> tuple[tuple[str, str], ...]:
    """What somebody has to do; an empty text for what nobody has to."""
    late = joined([_role_name(each["role"], catalogs) for each in found["roles"] if ends_state(each, now) != GOOD])
    held = joined(
        [each["role"] for each in found["roles"] if custody_state(each["role"], each["custody"]).kind != GOOD]
    )
    ends = f"Metadata of {late} end soon, or have: sign them again. After that devices take nothing new."
    online = (
        f"This service holds keys of {held}: whoever takes it over can sign for all devices. "
        "One command takes them offline: armillary release keys init DIR."
    )
    stores = found["trust_stores"] and (
        "A trust store waits for the signature of os. "
        "Until it has it, devices get what they can check without that store."
    )
    return (
        (BAD, found["fault"] and f"The last publication failed: {sentence(found['fault'])}"),
        (BAD, late and ends),
        (ATTENTION, stores and str(stores)),
        (ATTENTION, held and online),
    )


def _sentence(found: Mapping[str, Any]) -> str:
    if found["waiting"]:
        missing = sum(each["missing"] for each in found["waiting"])
        return f"{counted(missing, 'signature is', 'signatures are')} missing before the next version is published."
    offline = [each["role"] for each in found["roles"] if each["custody"] == "offline"]
    if offline:
        return f"Keys of {joined(offline)} are offline; {counted(len(found['roles']), 'role')} in all."
    return f"All keys of {counted(len(found['roles']), 'role')} are online."


def _role(role: Mapping[str, Any], catalogs: Mapping[str, str], now: int) -> tuple[Cell, ...]:
    name, keys = role["role"], len(role["keys"])
    says = _SAYS.get(name, "the images of a catalog")
    why = f"always: {_ALWAYS[name]}" if name in ONLINE_ALWAYS else ""
    ends = moment(role["expires_at"], now)
    kind = ends_state(role, now)
    return (
        text(_role_name(name, catalogs), reason=says),
        Cell(state=custody_state(name, role["custody"]), reason=why),
        text(f"{role['threshold']} of {keys}"),
        Cell(state=State(kind, ends.relative), reason=ends.exact)
        if ends is not None and kind != GOOD
        else Cell(at=ends, text="signs no file"),
        number(role["version"] or "none"),
        number(counted(role["targets"], "artifact") if role["targets"] else "none"),
    )


def _role_name(role: str, catalogs: Mapping[str, str]) -> str:
    if not role.startswith(CATALOG_PREFIX):
        return role
    return f"catalog {catalogs.get(role.removeprefix(CATALOG_PREFIX), 'that was deleted since')}"


def _lack(one: Mapping[str, Any]) -> str:
    """Signatures that are missing of a threshold, and of which keys."""
    return f"{one['missing']} of {joined([short_id(key).short for key in one['key_ids']], 'or')}"


def _waiting_section(waiting: Sequence[Mapping[str, Any]], catalogs: Mapping[str, str], now: int) -> Section:
    return Section(
        title="What waits for signatures",
        note="armillary release keys sign" if waiting else "",
        columns=("Role", "Version", "Missing", "Signed by", "Ends"),
        rows=[
            (
                text(_role_name(each["role"], catalogs)),
                number(each["version"]),
                text(joined([_lack(one) for one in each["lacks"]])),
                text(joined([short_id(key).short for key in each["signed_by"]]) or "nobody"),
                Cell(at=moment(each["expires_at"], now)),
            )
            for each in waiting
        ],
        none="Nothing.",
    )
