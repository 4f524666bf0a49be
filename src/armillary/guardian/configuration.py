# SPDX-License-Identifier: Apache-2.0
"""``guardian.json``: which equipment a guardian has, by which profiles and keys, and how much it may keep and send.

::

    {"format": 1,
     "equipment": [{"name": "espresso1", "profile": "profiles/coffee.dsse", "link": {"host": "10.9.0.2"}}],
     "profile_keys": ["-----BEGIN PUBLIC KEY-----..."],
     "queue": {"bytes": 8388608, "age_s": 604800},
     "uplink": {"backfill_bytes_per_s": 20000}}

``queue`` and ``uplink`` may be left out. A member that is not listed here is refused: a limit that was misspelt would
otherwise be none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.guard import pacing
from armillary.wire.equipment.faults import ConfigurationError

FORMAT = "guardian-configuration"
VERSION = 1

# A module id of the hub, which each piece of equipment is: IoT Hub's characters, fewer of them.
EQUIPMENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
PROFILE_PATH = re.compile(r"profiles/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

DOCUMENT_LIMIT_BYTES = 256 * 1024  # 50 pieces of equipment with their settings take a tenth of it
EQUIPMENT_LIMIT = 50  # Each is a module of the device in the hub, and a device has 50; and a connection to it
KEY_LIMIT = 16
LINK_SETTINGS_LIMIT = 32

# SQLite needs some pages for its own tables; below this nothing could be kept.
QUEUE_BYTES = (64 * 1024, 1 << 32)
QUEUE_BYTES_DEFAULT = 8 * 1024 * 1024
QUEUE_AGE_S = (60, 366 * 86400)
QUEUE_AGE_S_DEFAULT = 7 * 86400
# Below the first an hour takes days to follow; the second is no limit.
BACKFILL_BYTES_PER_S = (100, 1 << 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquipmentEntry:
    """One piece of equipment."""

    name: str  # Its module id in the hub
    profile: str  # Path in the image of the signed profile
    link: Mapping[str, object] = field(default_factory=dict)  # Replaces settings of the profile's link


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianConfiguration:
    """All of ``guardian.json``."""

    equipment: tuple[EquipmentEntry, ...]
    profile_keys: tuple[str, ...]  # PEM, SubjectPublicKeyInfo
    queue_bytes: int = QUEUE_BYTES_DEFAULT
    queue_age_s: int = QUEUE_AGE_S_DEFAULT
    backfill_bytes_per_s: int = pacing.BACKFILL_BYTES_PER_S


def read_configuration(data: bytes) -> GuardianConfiguration:
    """Read ``guardian.json``.

    Raises:
        ConfigurationError: it is no JSON object of this form; names the member.
    """
    if len(data) > DOCUMENT_LIMIT_BYTES:
        raise _fault("the document", f"at most {DOCUMENT_LIMIT_BYTES} bytes", str(len(data)))
    try:
        document = json.loads(data, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise _fault("the document", "JSON without doubled members", f"{error!s:.100}") from None
    whole = _members(document, "the document", {"format", "equipment", "profile_keys"}, {"queue", "uplink"})
    if whole["format"] != VERSION or isinstance(whole["format"], bool):
        raise _fault("format", str(VERSION), _shown(whole["format"]))
    queue = _members(whole.get("queue", {}), "queue", set(), {"bytes", "age_s"})
    uplink = _members(whole.get("uplink", {}), "uplink", set(), {"backfill_bytes_per_s"})
    return GuardianConfiguration(
        equipment=_equipment(whole["equipment"]),
        profile_keys=_keys(whole["profile_keys"]),
        queue_bytes=_number(queue, "queue", "bytes", QUEUE_BYTES, QUEUE_BYTES_DEFAULT),
        queue_age_s=_number(queue, "queue", "age_s", QUEUE_AGE_S, QUEUE_AGE_S_DEFAULT),
        backfill_bytes_per_s=_number(
            uplink, "uplink", "backfill_bytes_per_s", BACKFILL_BYTES_PER_S, pacing.BACKFILL_BYTES_PER_S
        ),
    )


def configuration_document(configuration: GuardianConfiguration) -> dict[str, object]:
    """The document of a configuration: what :func:`read_configuration` reads."""
    return {
        "format": VERSION,
        "equipment": [
            {"name": each.name, "profile": each.profile, "link": dict(each.link)} for each in configuration.equipment
        ],
        "profile_keys": list(configuration.profile_keys),
        "queue": {"bytes": configuration.queue_bytes, "age_s": configuration.queue_age_s},
        "uplink": {"backfill_bytes_per_s": configuration.backfill_bytes_per_s},
    }


def _equipment(value: object) -> tuple[EquipmentEntry, ...]:
    found = []
    for index, each in enumerate(_list(value, "equipment", EQUIPMENT_LIMIT)):
        place = f"equipment[{index}]"
        entry = _members(each, place, {"name", "profile"}, {"link"})
        found.append(
            EquipmentEntry(
                name=_text(entry["name"], f"{place}.name", EQUIPMENT_NAME),
                profile=_text(entry["profile"], f"{place}.profile", PROFILE_PATH),
                link=_link(entry.get("link", {}), f"{place}.link"),
            )
        )
    names = [each.name.lower() for each in found]
    for name in names:
        if names.count(name) > 1:
            raise _fault("equipment", "names that differ by more than case", f"{name!r} twice")
    return tuple(found)


def _link(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, dict) or len(value) > LINK_SETTINGS_LIMIT:
        raise _fault(place, f"an object of at most {LINK_SETTINGS_LIMIT} members", _shown(value))
    for name, setting in value.items():
        if not isinstance(setting, (str, int, float)):
            raise _fault(f"{place}.{name:.40}", "a text, a number, true or false", _shown(setting))
    return value


def _keys(value: object) -> tuple[str, ...]:
    found = _list(value, "profile_keys", KEY_LIMIT)
    for index, each in enumerate(found):
        if not isinstance(each, str) or "BEGIN PUBLIC KEY" not in each:
            raise _fault(f"profile_keys[{index}]", "a public key in PEM", _shown(each))
    return tuple(str(each) for each in found)


def _members(value: object, place: str, needed: set[str], optional: set[str]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _fault(place, "an object", _shown(value))
    if missing := needed - value.keys():
        raise _fault(place, f"the member {min(missing)!r}", "none")
    if unknown := value.keys() - needed - optional:
        raise _fault(place, f"members {', '.join(sorted(needed | optional))}", f"{min(unknown)!r:.60}")
    return value


def _list(value: object, place: str, limit: int) -> list[object]:
    if not isinstance(value, list) or not 1 <= len(value) <= limit:
        got = f"{len(value)} entries" if isinstance(value, list) else _shown(value)
        raise _fault(place, f"a list of 1 to {limit} entries", got)
    return value


def _text(value: object, place: str, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _fault(place, f"a text of the form {form.pattern}", _shown(value))
    return value


def _number(section: Mapping[str, object], place: str, name: str, limits: tuple[int, int], default: int) -> int:
    value = section.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not limits[0] <= value <= limits[1]:
        raise _fault(f"{place}.{name}", f"a whole number from {limits[0]} to {limits[1]}", _shown(value))
    return value


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands there twice")
    return found


def _shown(value: object) -> str:
    return f"{value!r:.60}"


def _fault(place: str, expected: str, got: str) -> ConfigurationError:
    return ConfigurationError(FORMAT, expected=f"{place} to be {expected}", got=got)
