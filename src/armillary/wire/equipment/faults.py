# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between a guardian and its equipment: the branch ``EquipmentError`` of the tree in ``errors.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from armillary.errors import ArmillaryError, HostError, WireError

# Rule of profiles -> what it demands. Scripts may rely on these names (``docs/reference/equipment-profile.md``).
RULES: Final[Mapping[str, str]] = {
    "yaml": "a file is one document of the YAML subset: no anchors, aliases, tags, merge keys, keys that stand twice",
    "form": "each key is known, each value of its kind, each required one given",
    "limit": "numbers, texts and counts are within their limits",
    "expression": "nothing is a calculation: a profile is data, and no part of it is evaluated",
    "duplicate": "items of a list, numbers of states and types of frames stand once",
    "duplicate-name": "points, derived values, events, alarms and commands have names of their own, in any case",
    "reserved-name": "names that the guardian uses itself are used for nothing else",
    "person-data": "no name or title speaks of persons, unless the profile says that it has such data",
    "link": "the link is of a known protocol",
    "policy": "OPC UA has a policy that encrypts",
    "raw": "the kind of a value fits its place: bits in bit tables, whole registers in registers, integers for states",
    "unit": "units are of DTDL or our own few, and fit the quantity",
    "quantity": "quantities are semantic types of DTDL",
    "group": "a point of a polled link is in a group of the profile; frames come by themselves and have none",
    "address": "every value lies within its table or frame, elements of an array at places of their own",
    "range": "limits, scales and states can be carried by the raw kind, and each low is below its high",
    "overlap": "no two values share a part of a place; those of one place, shown or set, agree in kind, unit and scale",
    "reference": "points, states and frames that are named are there, and can have the value that is named",
    "operator": "derived values use the six operators, each with its number of inputs, window and limit",
    "read-only-table": "commands write coils and holding registers only",
    "unlisted-write": "what may be written is a command, recipe or firmware; a point has no write access",
    "two-commands": "no two commands write the same place",
    "write-overlap": "commands, recipe and firmware write places of their own",
    "round-trip": "limits of what is written are multiples of its scale: they read back as themselves",
    "recipe-gap": "the fields of a recipe cover every word of its slot, each once",
    "interlock": "recipe and firmware name the state in which the equipment takes them",
    "line": "a serial line can carry the poll plan with time left for commands",
    "name": "a newer profile has the name of the one that it replaces",
    "rollback": "a guardian takes no lower version than the highest that it had",
}


class ProfileError(WireError):
    """A profile of equipment, or a file for equipment, breaks its format or a rule.

    ``rule`` is one of :data:`RULES`, ``place`` the path of keys
    (``points.brewTemp.scale``), ``line`` its line where the document was YAML.
    """

    code = "equipment.profile"
    remedy = "Mend the place that is named (docs/reference/equipment-profile.md has the rules), then check it again."

    def __init__(
        self, place: str, *, expected: str, got: str, rule: str = "form", line: int | None = None, file: str = ""
    ) -> None:
        where = " ".join(word for word in (file, "" if line is None else f"line {line}", place or "profile") if word)
        super().__init__(f"{where} (rule {rule})", expected=expected, got=got)
        self.place = place
        self.rule = rule
        self.line = line


class ConfigurationError(WireError):
    """What a guardian is told about its equipment (``guardian.json``, its surroundings) breaks its form."""

    code = "equipment.configuration"
    remedy = "Make the image anew: armillary guardian image."


class EquipmentError(ArmillaryError):
    """Equipment behind a guardian does not do what was asked, or may not be asked."""

    code = "equipment"


class LinkError(EquipmentError):
    """An exchange with equipment failed: no connection, no reply, a damaged or foreign one, or its refusal.

    ``reason`` is ``unreachable``, ``timeout``, ``damaged``, ``foreign`` or ``refused``; ``refusal`` is the code
    with which the equipment refused in its own protocol (a Modbus exception, the reason byte of a framed link).
    """

    code = "equipment.link"
    remedy = "Check cable, address and settings of the link: armillary guardian test."

    def __init__(self, reason: str, message: str, *, refusal: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.refusal = refusal


_REFUSED_NOW = {
    "expired": "Give it anew; a guardian takes none until its hub has said what time it is.",
    "replayed": "Give it anew, with a nonce of its own.",
    "rate": "Wait until the least time between two is over, then give it anew.",
    "interlock": "Wait until the equipment is in a state in which it takes this, then give it anew.",
    "consent": "Have somebody at the equipment agree (armillary guardian consent), then give it anew.",
}


class GuardRefusedError(EquipmentError):
    """The guard refused a frame or a command; nothing went to the equipment.

    ``rule`` names what it broke: ``unit``, ``function``, ``span``, ``count``, ``length``, ``not-listed``, ``value``,
    ``step``, ``rate``, ``interlock``, ``consent``, ``expired``, ``replayed``, ``read-only``.
    """

    code = "equipment.refused"
    remedy = "Look at what the profile allows: armillary guardian profile show."

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message, remedy=_REFUSED_NOW.get(rule))
        self.rule = rule


class QueueError(EquipmentError):
    """The queue of what a guardian has not sent cannot be opened: no place to write, or another process has it."""

    code = "equipment.queue"
    remedy = "Give the guardian its folder (MutableStorage in its manifest) and room on the disk; run one at a time."


class ReadBackError(EquipmentError):
    """What was written was read back, and something else stands."""

    code = "equipment.read-back"
    remedy = "Look at the equipment: it took the write and kept another value, or somebody at it changed it."


class EquipmentCallError(EquipmentError):
    """A guardian answered that what was asked of its equipment was not done."""

    code = "equipment.call"
    remedy = "Look at what the profile allows, and at the link: armillary guardian profile show."


class LinkLibraryMissingError(HostError):
    """The library that speaks a link's protocol is not installed where the guardian runs."""

    code = "host.link-library-missing"
    remedy = "Install the extra where the guardian runs: pip install 'armillary[opcua]' or 'armillary[bacnet]'."
