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
from armillary.console.frame.words import counted, grouped, joined, moment, sentence, short_id
from armillary.console.language.say import say, say_count
from armillary.service.repository.roles import CATALOG_PREFIX, ONLINE_ALWAYS, terms

# Roles that people should take away from the service: they decide about all others.
OFFLINE_ABLE: Final = frozenset({"root", "targets"})
# What metadata of a role says.
_SAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "root": say("whose keys the roles have"),
        "targets": say("who signs which artifacts"),
        "snapshot": say("which metadata belong together"),
        "timestamp": say("what is newest"),
        "os": say("the operating systems"),
        "catalogs": say("which keys catalogs have"),
        "director": say("what one device installs"),
    }
)


# Why the keys of a role are always online.
_ALWAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "snapshot": say("it changes with every edition"),
        "timestamp": say("it is signed daily"),
        "catalogs": say("a catalog is made without a ceremony"),
        "director": say("it answers check-ins"),
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
        place=say("Keys"),
        heading=say("Keys of releases"),
        title=_sentence(found),
        detail=say("A device installs what these roles have signed, and nothing else."),
        notices=tuple(notices),
        sections=(
            _waiting_section(found["waiting"], catalogs, now),
            Section(
                title=say("Roles"),
                note=say("from root down; a role signs what it says, with so many of its keys"),
                columns=(say("Role"), say("Keys are"), say("Signatures"), say("Ends"), say("Version"), say("Names")),
                rows=[_role(each, catalogs, now) for each in found["roles"]],
                none=say("It is made at the first publication."),
            ),
            Section(
                title=say("Keys"),
                columns=(say("Key id"), say("Role"), say("Private half")),
                rows=[
                    (
                        Cell(ident=short_id(key["key_id"])),
                        text(_role_name(each["role"], catalogs)),
                        text(say("held by this service") if key["online"] else say("elsewhere, offline")),
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
    ends = say("Metadata of {late} end soon, or have: sign them again. After that devices take nothing new.", late=late)
    online = say(
        "This service holds keys of {held}: whoever takes it over can sign for all devices. One command "
        "takes them offline: armillary release keys init DIR.",
        held=held,
    )
    stores = found["trust_stores"] and (
        say(
            "A trust store waits for the signature of os. Until it has it, devices get what they can check "
            "without that store."
        )
    )
    return (
        (BAD, found["fault"] and say("The last publication failed: {fault}", fault=sentence(found["fault"]))),
        (BAD, late and ends),
        (ATTENTION, stores),
        (ATTENTION, held and online),
    )


def _sentence(found: Mapping[str, Any]) -> str:
    if found["waiting"]:
        missing = sum(each["missing"] for each in found["waiting"])
        return say_count(
            missing,
            "{count} signature is missing before the next version is published.",
            "{count} signatures are missing before the next version is published.",
            count=grouped(missing),
        )
    offline = [each["role"] for each in found["roles"] if each["custody"] == "offline"]
    if offline:
        return say(
            "Keys of {offline} are offline; {roles} in all.",
            offline=joined(offline),
            roles=counted(len(found["roles"]), "role"),
        )
    return say("All keys of {roles} are online.", roles=counted(len(found["roles"]), "role"))


def _role(role: Mapping[str, Any], catalogs: Mapping[str, str], now: int) -> tuple[Cell, ...]:
    name, keys = role["role"], len(role["keys"])
    says = _SAYS.get(name, say("the images of a catalog"))
    why = say("always: {why}", why=_ALWAYS[name]) if name in ONLINE_ALWAYS else ""
    ends = moment(role["expires_at"], now)
    kind = ends_state(role, now)
    return (
        text(_role_name(name, catalogs), reason=says),
        Cell(state=custody_state(name, role["custody"]), reason=why),
        text(say("{threshold} of {keys}", threshold=role["threshold"], keys=keys)),
        Cell(state=State(kind, ends.relative), reason=ends.exact)
        if ends is not None and kind != GOOD
        else Cell(at=ends, text=say("signs no file")),
        number(role["version"] or say("none")),
        number(counted(role["targets"], "artifact") if role["targets"] else say("none")),
    )


def _role_name(role: str, catalogs: Mapping[str, str]) -> str:
    if not role.startswith(CATALOG_PREFIX):
        return role
    name = catalogs.get(role.removeprefix(CATALOG_PREFIX))
    return say("catalog {name}", name=name) if name else say("catalog that was deleted since")


def _lack(one: Mapping[str, Any]) -> str:
    """Signatures that are missing of a threshold, and of which keys."""
    return say(
        "{missing} of {keys}",
        missing=one["missing"],
        keys=joined([short_id(key).short for key in one["key_ids"]], "or"),
    )


def _waiting_section(waiting: Sequence[Mapping[str, Any]], catalogs: Mapping[str, str], now: int) -> Section:
    return Section(
        title=say("What waits for signatures"),
        note="armillary release keys sign" if waiting else "",
        columns=(say("Role"), say("Version"), say("Missing"), say("Signed by"), say("Ends")),
        rows=[
            (
                text(_role_name(each["role"], catalogs)),
                number(each["version"]),
                text(joined([_lack(one) for one in each["lacks"]])),
                text(joined([short_id(key).short for key in each["signed_by"]]) or say("nobody")),
                Cell(at=moment(each["expires_at"], now)),
            )
            for each in waiting
        ],
        none=say("Nothing."),
    )
