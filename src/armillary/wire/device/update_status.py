# SPDX-License-Identifier: Apache-2.0
"""Where the update of a device stands, as the device says it in the report of a check-in.

::

    update-status = [
      abilities         : [ 0*4 "delta" / "directive" / "log" / "os" ],   ; in this order
      directive-version : 0..9007199254740992,     ; of the last directive that it accepted; 0: none
      reason            : tstr .size (0..64),      ; code in wire/device/update_reason.py; "": nothing waits
      detail            : tstr .size (0..256),     ; in words, for people
      until             : time / null,             ; until when it waits, where it knows
      ? trusted         : [ keys : bstr .size 32, roots : bstr .size 32 ],   ; digests of what it trusts
    ]

``trusted`` has the digests (``wire/update/trust_store.py``) of the keys that may sign what the device installs, and of
the roots of the service that it accepts. A device that says so takes trust stores; to others none is offered.

The service offers a device nothing that needs an ability which the device did not name. A reason that the service does
not know (of a newer device) is shown as it is: nothing is decided by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_choice, take_text, take_time, take_uint

OS: Final = "os"  # installs OS components
DELTA: Final = "delta"  # makes artifacts out of deltas
DIRECTIVE: Final = "directive"  # takes signed directives, and then nothing else
LOG: Final = "log"  # sends its log where somebody asks for it; named in check-ins of version 8 alone
ABILITIES: Final = frozenset({OS, DELTA, DIRECTIVE, LOG})
MAX_REASON_CODE_BYTES: Final = 64
MAX_STATUS_DETAIL_BYTES: Final = 256
TRUST_DIGEST_BYTES: Final = 32  # SHA-256, ``wire/update/trust_store.py``
MAX_DIRECTIVE_VERSION: Final = 2**53  # one a second for longer than any device lives, and every reader has it


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStatus:
    """What a device can do, the last directive it accepted, and why an update waits."""

    abilities: tuple[str, ...] = ()  # words of ABILITIES, sorted
    directive_version: int = 0
    reason: str = ""  # a code; empty: nothing waits
    detail: str = ""
    until: int | None = None  # Unix seconds UTC
    trusted_keys: bytes = b""  # digest of the keys that may sign; empty from a device that takes no trust stores
    trusted_roots: bytes = b""  # and of the roots of the service; both or neither


def status_fields(status: UpdateStatus) -> list[Any]:
    """The CBOR array of an update status."""
    fields = [list(status.abilities), status.directive_version, status.reason, status.detail, status.until]
    return [*fields, [status.trusted_keys, status.trusted_roots]] if status.trusted_keys else fields


def status_from_fields(value: Any) -> UpdateStatus:
    """The update status in a CBOR array; WireError if it is none."""
    fields = take_array(value, "update status", limit=6)
    if len(fields) < 5:
        raise WireError("update status", expected="5 or 6 items", got=f"{len(fields)}")
    words = take_array(fields[0], "update abilities", limit=len(ABILITIES))
    abilities = tuple(take_choice(word, ABILITIES, "update ability") for word in words)
    if list(abilities) != sorted(set(abilities)):
        raise WireError("update abilities", expected="each once, sorted", got=", ".join(abilities))
    return UpdateStatus(
        abilities=abilities,
        directive_version=take_uint(fields[1], "directive version", limit=MAX_DIRECTIVE_VERSION),
        reason=take_text(fields[2], "update reason", limit=MAX_REASON_CODE_BYTES),
        detail=take_text(fields[3], "update detail", limit=MAX_STATUS_DETAIL_BYTES),
        until=None if fields[4] is None else take_time(fields[4], "update wait"),
        **_trusted(fields[5:]),
    )


def _trusted(rest: list[Any]) -> dict[str, bytes]:
    if not rest:
        return {}
    keys, roots = take_array(rest[0], "trusted", limit=2, size=2)
    return {
        "trusted_keys": take_bytes(keys, "trusted keys", size=TRUST_DIGEST_BYTES),
        "trusted_roots": take_bytes(roots, "trusted roots", size=TRUST_DIGEST_BYTES),
    }
