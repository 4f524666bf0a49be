# SPDX-License-Identifier: Apache-2.0
"""The keys that sign releases and images: which sign now, which devices know them, what one can do. Pure.

It only shows: making, using and dropping a key is done on the command line, whose commands it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.frame.sheet import Cell, Section, Sheet, code, number, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State, state_of
from armillary.console.frame.words import counted, grouped, joined, moment, short_id
from armillary.console.language.say import say, say_count
from armillary.service.authority.signing_keys import IMAGES, OS, SIGNING_RENEWAL_S

COMMAND: Final = "armillary release signing-keys"
_SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {OS: say("operating systems, trust stores and capability files"), IMAGES: say("applications")}
)
_KEY: Final[Mapping[str, State]] = MappingProxyType(
    {
        "in force": State(GOOD, say("signs now")),
        "next": State(ATTENTION, say("next")),
        "old": State(UNKNOWN, say("old")),
    }
)
_MEANS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "in force": say("what is released and uploaded from now on"),
        "next": say("signs nothing before devices have its store"),
        "old": say("devices trust it for what it has signed"),
    }
)
_STORES: Final[Mapping[str, str]] = MappingProxyType(
    {"keys": say("trusted key store"), "roots": say("certificate store")}
)
# Why devices have not a store: by the word of the API, after a number of devices.
_LACKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "waiting": say("may still take it"),
        "refused": say("could not install it"),
        "unable": say("never said what they trust"),
        "away": say("were not here for 30 days"),
    }
)
_HERE: Final = ("waiting", "refused", "unable")  # whom the next key waits for


def signing_keys_sheet(found: Mapping[str, Any], now: int) -> Sheet:
    """The page of what ``GET /signing-keys`` says."""
    newest = _newest(found["stores"])
    return Sheet(
        place=say("Signing keys"),
        heading=say("Signing keys"),
        title=_sentence(found["keys"], newest),
        detail=say("A device starts what these keys have signed, and nothing else."),
        notices=tuple((kind, says) for kind, says in _notices(found["keys"], newest, now) if says),
        sections=(
            Section(
                title=say("Keys"),
                columns=(say("Serial"), say("Signs"), say("State"), say("Ends")),
                rows=[_key(each, now) for each in found["keys"]],
                none="",
            ),
            Section(
                title=say("Trust stores"),
                note=say("by which devices learn of keys and roots; a device has one of each kind"),
                columns=(say("Store"), say("State"), say("Names"), say("Devices that have it"), say("That have not")),
                rows=[_store(each, newest) for each in found["stores"]],
                none="",
            ),
            Section(
                title=say("What can be done"),
                note=say("on the command line, by an administrator"),
                columns=(say("To"), say("Command")),
                rows=[(text(what), code(command)) for what, command in _commands(found["keys"], newest)],
                none="",
            ),
        ),
        within="updates",
    )


def ends_state(key: Mapping[str, Any], now: int) -> str:
    """How urgent the end of a key's certificate is: the key that signs is renewed by itself, long before."""
    if key["ends_at"] <= now:
        return BAD
    is_late = key["state"] == "in force" and key["ends_at"] - now < SIGNING_RENEWAL_S // 2
    return ATTENTION if is_late else GOOD


def _newest(stores: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Kind of store -> the newest of it; the stores are oldest first."""
    return {each["kind"]: each for each in stores}


def _lacking(store: Mapping[str, Any]) -> int:
    """Devices that are here and have not a store."""
    return sum(store["devices"][word] for word in _HERE)


def _sentence(keys: Sequence[Mapping[str, Any]], newest: Mapping[str, Mapping[str, Any]]) -> str:
    waiting = [each for each in keys if each["state"] == "next"]
    if not waiting:
        signing = sum(each["state"] == "in force" for each in keys)
        return say("{keys}, of which {signing} sign now.", keys=counted(len(keys), "signing key"), signing=signing)
    what = (
        say("The next signing key waits")
        if len(waiting) == 1
        else say("The next {waiting} signing keys wait", waiting=len(waiting))
    )
    if lacking := _lacking(newest["keys"]):
        return say_count(
            lacking,
            "{what}: {count} device that is here has not the store.",
            "{what}: {count} devices that are here have not the store.",
            what=what,
            count=grouped(lacking),
        )
    return say("{what}: every device that is here has the store.", what=what)


def _notices(
    keys: Sequence[Mapping[str, Any]], newest: Mapping[str, Mapping[str, Any]], now: int
) -> tuple[tuple[str, str], ...]:
    """What somebody should look at; an empty text for what nobody has to."""
    over = joined([short_id(each["serial"]).short for each in keys if ends_state(each, now) == BAD])
    late = joined([short_id(each["serial"]).short for each in keys if ends_state(each, now) == ATTENTION])
    refused = newest["keys"]["devices"]["refused"]
    return (
        (BAD, over and say("The certificate of {over} has ended.", over=over)),
        (
            ATTENTION,
            late
            and say(
                "The certificate of {late} ends, and no other key is in force yet: {command} renew.",
                late=late,
                command=COMMAND,
            ),
        ),
        (
            ATTENTION,
            say(
                "{devices} could not install the newest trusted key store: the page of each says why.",
                devices=counted(refused, "device"),
            )
            if refused
            else "",
        ),
    )


def _key(key: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    ends, kind = moment(key["ends_at"], now), ends_state(key, now)
    return (
        Cell(ident=short_id(key["serial"])),
        text(_SIGNS.get(key["purpose"], key["purpose"]), reason=key["subject"]),
        Cell(state=state_of(_KEY, key["state"]), reason=_MEANS.get(key["state"], "")),
        Cell(at=ends) if ends is None or kind == GOOD else Cell(state=State(kind, ends.relative), reason=ends.exact),
    )


def _store(store: Mapping[str, Any], newest: Mapping[str, Mapping[str, Any]]) -> tuple[Cell, ...]:
    is_newest = newest[store["kind"]] is store
    if not is_newest:
        stands = State(UNKNOWN, say("of before"))
    elif store["in_force_at"] is None:
        stands = State(ATTENTION, say("waits for devices"))
    else:
        stands = State(GOOD, say("newest"))
    serials = {serial for serials in store["trusted"].values() for serial in serials}
    counts = [(store["devices"][word], says) for word, says in _LACKS.items()]
    lacking = [say("{devices} {lack}", devices=counted(count, "device"), lack=says) for count, says in counts if count]
    return (
        text(say("{store} {number}", store=_STORES.get(store["kind"], store["kind"]), number=store["number"])),
        Cell(state=stands),
        text(counted(len(serials), "root") if store["kind"] == "roots" else counted(len(serials), "key")),
        number(store["devices"]["have"]),
        # Who has a newer store has not this one either, and lacks nothing.
        text((joined(lacking) or say("none")) if is_newest else say("not counted")),
    )


def _commands(keys: Sequence[Mapping[str, Any]], newest: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What can be done with the keys as they stand, each with its command."""
    waiting = [each for each in keys if each["state"] == "next"]
    if waiting:
        what, option = say("sign with the next key at once; within a minute the service does it by itself"), ""
        if lacking := _lacking(newest["keys"]):
            what = say(
                "sign with the next key although {devices} get nothing new before its store",
                devices=counted(lacking, "device"),
            )
            option = " --despite"
        return [
            (what, f"{COMMAND} use{option}"),
            *(
                (
                    say("give up the next key {named}", named=_named(each)),
                    f"{COMMAND} drop {each['serial']}",
                )
                for each in waiting
            ),
        ]
    old = [each for each in keys if each["state"] == "old"]
    return [
        (say("make the next keys, and the store that names them"), f"{COMMAND} renew"),
        *(
            (
                say("have devices trust the old key {named} no longer", named=_named(each)),
                f"{COMMAND} drop {each['serial']}",
            )
            for each in old
        ),
    ]


def _named(key: Mapping[str, Any]) -> str:
    signs = _SIGNS.get(key["purpose"], key["purpose"])
    return say("{key} ({signs})", key=short_id(key["serial"]).short, signs=signs)
