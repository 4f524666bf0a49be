# SPDX-License-Identifier: Apache-2.0
"""Reference values for the machine's firmware (part of appraisal step 20): which measurements are good, on which chip.

Two kinds, both per PCR: a *measurement* is the digest of one event, a *final value* is what the PCR holds after all of
them. A judged PCR is good when its final value is stated, or when it holds at least one event and each of its events is
stated. Final values are the stricter kind: they also say which events belong together, and in which order.

Where a chip's boot loader is stated, in one of these kinds, the loaders of its releases in force are good in this kind
as well: an update of the OS needs no statement of its own. The loader of a release is good for as long as the release,
whatever is stated: with what was stated once, a machine would be trusted with an OS that was taken back since.

Only PCR and digest are compared. An event's type is the log's word, no TPM vouches for it
(``wire/attestation/tcg_event_log.py``): it is kept for the words that people read. What is said of a machine therefore
depends on its chip and its PCR values alone, which the quote covers: :class:`FirmwareReference` works it out once for
each such pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from armillary.attest.reference import FOREVER, Verdict, utc
from armillary.attest.tpm_quote import replayed, sentence
from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.attestation.firmware_log import FirmwareLog

# The PCRs that hold *code* and the rules it was started by, equal on machines of a model (PC Client profile §3.3.4).
# Not judged: 1 and 3 (settings, the boot order), 5 (the partition table, each boot attempt) and 6 (the maker's own, and
# wake-ups) differ between machines and from boot to boot, so that nobody could state what is good.
JUDGED_PCRS: Final[Mapping[int, str]] = {
    0: "firmware",
    2: "drivers and option ROMs",
    4: "boot loader",
    7: "secure boot rules",
}
EVENT: Final = "measurement"
FINAL: Final = "final-value"
LOADER_PCR: Final = 4
# A machine measures 30 to 200 events, and a list may hold some releases of its firmware.
MAX_VALUES: Final = 1024
# Lists of a catalog: each may hold the firmware of a model; all of them are in the service's memory.
MAX_LISTS: Final = 64
# Machines cached by chip and PCR values, 0.5 KiB each; equal machines share one.
MAX_KNOWN: Final = 1024
# What fits a step's detail (1024 bytes, wire/device/checkin.py).
MAX_FAULT_BYTES: Final = 1000

_NAMED_DIGESTS: Final = 3  # expected ones that a fault names
_NAMED_EVENTS: Final = 2  # bad ones of a PCR that a fault names
_REMEDY: Final = (
    "docs/concepts/appraisal.md shows the form; armillary attestation-policy firmware show --json prints one."
)

# Types that machines log, PC Client profile §10.4.1.
EVENT_TYPES: Final[Mapping[int, str]] = {
    0x01: "EV_POST_CODE",
    0x04: "EV_SEPARATOR",
    0x05: "EV_ACTION",
    0x06: "EV_EVENT_TAG",
    0x07: "EV_S_CRTM_CONTENTS",
    0x08: "EV_S_CRTM_VERSION",
    0x09: "EV_CPU_MICROCODE",
    0x0A: "EV_PLATFORM_CONFIG_FLAGS",
    0x0B: "EV_TABLE_OF_DEVICES",
    0x0C: "EV_COMPACT_HASH",
    0x0D: "EV_IPL",
    0x0F: "EV_NONHOST_CODE",
    0x10: "EV_NONHOST_CONFIG",
    0x11: "EV_NONHOST_INFO",
    0x12: "EV_OMIT_BOOT_DEVICE_EVENTS",
    0x13: "EV_POST_CODE2",
    0x8000_0001: "EV_EFI_VARIABLE_DRIVER_CONFIG",
    0x8000_0002: "EV_EFI_VARIABLE_BOOT",
    0x8000_0003: "EV_EFI_BOOT_SERVICES_APPLICATION",
    0x8000_0004: "EV_EFI_BOOT_SERVICES_DRIVER",
    0x8000_0005: "EV_EFI_RUNTIME_SERVICES_DRIVER",
    0x8000_0006: "EV_EFI_GPT_EVENT",
    0x8000_0007: "EV_EFI_ACTION",
    0x8000_0008: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
    0x8000_0009: "EV_EFI_HANDOFF_TABLES",
    0x8000_000A: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
    0x8000_000B: "EV_EFI_HANDOFF_TABLES2",
    0x8000_000C: "EV_EFI_VARIABLE_BOOT2",
    0x8000_0010: "EV_EFI_HCRTM_EVENT",
    0x8000_00E0: "EV_EFI_VARIABLE_AUTHORITY",
    0x8000_00E1: "EV_EFI_SPDM_FIRMWARE_BLOB",
    0x8000_00E2: "EV_EFI_SPDM_FIRMWARE_CONFIG",
}
_TAKEN_BACK: Final = "the boot loader of a release of {} was started that was withdrawn or is below a security floor."
_NO_RELEASE: Final = "It is the boot loader of no release of {} that is in force."
_APPLICATION: Final = 0x8000_0003
_TYPE_NUMBERS: Final = {name: number for number, name in EVENT_TYPES.items()}


@dataclass(frozen=True, slots=True)
class FirmwareValue:
    """One reference value, or one measurement of a machine.

    Attributes:
        kind: :data:`EVENT` or :data:`FINAL`.
        pcr: One of :data:`JUDGED_PCRS`.
        digest: 32 bytes.
        event_type: As the log it came from has it; None where nobody said, and for final values.
    """

    kind: str
    pcr: int
    digest: bytes
    event_type: int | None = None


class FirmwareStatement(NamedTuple):
    """Reference values that were stated together.

    Attributes:
        chip: Chip profile whose machines they are for.
        expires_at: Unix seconds UTC until which; None for no end.
    """

    chip: str
    values: tuple[FirmwareValue, ...]
    expires_at: int | None = None


def type_name(event_type: int | None) -> str:
    """An event type for people; what has no name is written as a number."""
    if event_type is None:
        return "any type"
    return EVENT_TYPES.get(event_type) or f"{event_type:#010x}"


def measured(firmware: FirmwareLog) -> tuple[FirmwareValue, ...]:
    """What a machine measured into the judged PCRs: each final value after the measurements it is made of.

    WireError if the log is malformed or does not replay to the values beside it.
    """
    from armillary.wire.attestation.tcg_event_log import EV_NO_ACTION  # noqa: PLC0415 - few devices send a log

    log, values = replayed(firmware)
    found: list[FirmwareValue] = []
    for pcr in JUDGED_PCRS:
        found += (
            FirmwareValue(EVENT, pcr, event.digest, event.event_type)
            for event in log.events
            if event.pcr == pcr and event.event_type != EV_NO_ACTION
        )
        found.append(FirmwareValue(FINAL, pcr, values[pcr]))
    return tuple(found)


def statable(values: Iterable[FirmwareValue], *, final: bool) -> tuple[FirmwareValue, ...]:
    """The reference values that make a machine with these measurements (of :func:`measured`) good, each once.

    With ``final`` they are final values, else measurements; for a PCR without measurements it is its final value.
    """
    values = tuple(values)
    with_events = {value.pcr for value in values if value.kind == EVENT}
    chosen: dict[tuple[str, int, bytes], FirmwareValue] = {}
    for value in values:
        if value.kind == (FINAL if final or value.pcr not in with_events else EVENT):
            chosen.setdefault((value.kind, value.pcr, value.digest), value)
    return tuple(chosen.values())


class FirmwareReference:
    """The reference values of a catalog, and what they say of the machines seen so far.

    Belongs to one event loop or thread: it takes no lock.
    """

    __slots__ = ("_good", "_known", "_loaders", "_released", "_types")

    def __init__(
        self,
        statements: Iterable[FirmwareStatement],
        loaders: Mapping[str, Mapping[tuple[str, bytes], int]] | None = None,
    ) -> None:
        """``loaders``: chip to (kind, digest) of its releases' boot loaders, with the second until which each is good.

        0 is for one that is good no more.
        As a measurement it is the digest of the program that is started, as a final value what PCR 4 then holds.
        """
        # Chip to (kind, PCR, digest) to the second until which it is good: the latest that anybody stated.
        self._good: dict[str, dict[tuple[str, int, bytes], int]] = {}
        self._types: dict[tuple[str, int, bytes], int | None] = {}
        for statement in statements:
            good = self._good.setdefault(statement.chip, {})
            until = FOREVER if statement.expires_at is None else statement.expires_at
            for value in statement.values:
                key = (value.kind, value.pcr, value.digest)
                good[key] = max(until, good.get(key, 0))
                self._types[key] = value.event_type
        self._loaders: set[str] = set()
        self._released = loaders or {}
        for chip, good in self._good.items():
            demanded = {kind for kind, pcr, _ in good if pcr == LOADER_PCR}
            for (kind, digest), until in self._released.get(chip, {}).items():
                key = (kind, LOADER_PCR, digest)
                if not until:
                    good.pop(key, None)
                elif kind in demanded:
                    self._loaders.add(chip)
                    good[key] = until
                    self._types.setdefault(key, _APPLICATION if kind == EVENT else None)
        self._known: dict[tuple[str, bytes], Verdict] = {}

    def __repr__(self) -> str:
        return f"FirmwareReference({', '.join(sorted(self._good))})"

    def fault(self, chip: str, firmware: FirmwareLog | None, now: int) -> str:
        """What is not good about a machine's firmware, in words; empty if all is, or nothing is stated for its chip.

        Args:
            chip: From the enrolment record.
            firmware: A log whose PCR values a verified quote covers; None where none was sent.
            now: Unix seconds UTC.
        """
        good = self._good.get(chip)
        if good is None:
            return ""
        if firmware is None:
            return (
                f"This catalog states which firmware is good on chip {chip}; the device sent no log of its firmware "
                "that replays and fits a check-in."
            )
        key = (chip, firmware.pcr_values)
        verdict = self._known.get(key)
        if verdict is None:
            try:
                verdict = self._judge(chip, good, measured(firmware))
            except WireError as error:  # not cached: another log may fit the same values
                return sentence(error)
            if len(self._known) >= MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[key] = verdict
        return verdict.at(now)

    def _judge(
        self, chip: str, good: Mapping[tuple[str, int, bytes], int], found: tuple[FirmwareValue, ...]
    ) -> Verdict:
        faults: list[str] = []
        deadline, late = FOREVER, ""
        for pcr in JUDGED_PCRS:
            events = [value for value in found if value.pcr == pcr and value.kind == EVENT]
            final = next(value for value in found if value.pcr == pcr and value.kind == FINAL)
            until = good.get((FINAL, pcr, final.digest), 0)
            ends = [good.get((EVENT, pcr, value.digest), 0) for value in events]
            if ends and min(ends) > until:
                until = min(ends)
            released = self._released_until(chip, [*events, final]) if pcr == LOADER_PCR else FOREVER
            until = min(until, released)
            if not released:
                faults.append(f"PCR {pcr} ({JUDGED_PCRS[pcr]}): {_TAKEN_BACK.format(chip)}")
            elif not until:
                faults.append(self._words(chip, good, pcr, final, events, ends))
            elif until < deadline:
                deadline = until
                place = f"PCR {pcr} ({JUDGED_PCRS[pcr]})"
                late = f"The reference values for {place} were good until {utc(until)}; that is over."
        text = " ".join(faults).encode()
        if len(text) > MAX_FAULT_BYTES:
            text = text[: MAX_FAULT_BYTES - 3] + b"..."
        return Verdict(text.decode(errors="ignore"), deadline, late)

    def _released_until(self, chip: str, measured: Iterable[FirmwareValue]) -> int:
        """Until when the releases are good whose boot loaders were measured; FOREVER where these are of none."""
        released = self._released.get(chip, {})
        return min((released.get((value.kind, value.digest), FOREVER) for value in measured), default=FOREVER)

    def _words(
        self,
        chip: str,
        good: Mapping[tuple[str, int, bytes], int],
        pcr: int,
        final: FirmwareValue,
        events: list[FirmwareValue],
        ends: list[int],
    ) -> str:
        """Which PCR, which event, what it measured, and what was expected."""
        place = f"PCR {pcr} ({JUDGED_PCRS[pcr]})"
        stated = [(digest, self._types[kind, at, digest]) for kind, at, digest in good if (kind, at) == (EVENT, pcr)]
        finals = [digest for kind, at, digest in good if (kind, at) == (FINAL, pcr)]
        if not stated or not events:
            what = "nothing was measured, its value is" if not events else "holds"
            text = f"{place}: {what} {final.digest.hex()}; expected {_digests(finals, chip, 'final values')}"
            is_loader = bool(events) and pcr == LOADER_PCR and chip in self._loaders
            return f"{text}. {_NO_RELEASE.format(chip)}" if is_loader else text
        bad = [(number, value) for number, (value, end) in enumerate(zip(events, ends, strict=True), 1) if not end]
        words = []
        for number, value in bad[:_NAMED_EVENTS]:
            alike = [digest for digest, kind in stated if kind == value.event_type]
            expected = _digests(alike or [digest for digest, _ in stated], chip, "measurements")
            words.append(
                f"{place}: event {number} of {len(events)} ({type_name(value.event_type)}) measured "
                f"{value.digest.hex()}; expected {expected}"
            )
        if pcr == LOADER_PCR and chip in self._loaders and bad:
            words.append(_NO_RELEASE.format(chip))
        if len(bad) > _NAMED_EVENTS:
            words.append(f"{len(bad) - _NAMED_EVENTS} more of PCR {pcr} are unknown.")
        return " ".join(words)


def _digests(digests: list[bytes], chip: str, what: str) -> str:
    if not digests:
        return f"nothing: no such reference value is stated for chip {chip}."
    named = " or ".join(f"{digest.hex()[:16]}..." for digest in digests[:_NAMED_DIGESTS])
    more = len(digests) - _NAMED_DIGESTS
    return named if more <= 0 else f"{named} or one of {more} more {what}."


def to_json(values: Iterable[FirmwareValue]) -> list[dict[str, Any]]:
    """Reference values as a JSON list."""
    return [
        {
            "kind": value.kind,
            "pcr": value.pcr,
            "digest": value.digest.hex(),
            "event_type": None if value.event_type is None else type_name(value.event_type),
        }
        for value in values
    ]


def from_json(items: object) -> tuple[FirmwareValue, ...]:
    """The reference values in a JSON list of :func:`to_json`'s form; ``kind`` and ``event_type`` may be left out.

    Raises:
        InvalidArgumentError: unknown field, wrong type or value out of range; none, or more than :data:`MAX_VALUES`.
    """
    if not isinstance(items, (list, tuple)) or not 1 <= len(items) <= MAX_VALUES:
        raise _invalid("values", f"a list of 1 to {MAX_VALUES} reference values", items)
    return tuple(dict.fromkeys(_value(item) for item in items))


def _value(item: object) -> FirmwareValue:
    if not isinstance(item, Mapping):
        raise _invalid("reference value", "an object with pcr and digest", item)
    if unknown := set(item) - {"kind", "pcr", "digest", "event_type"}:
        raise _invalid("reference value", "kind, pcr, digest, event_type", sorted(map(str, unknown)))
    kind, pcr, digest = item.get("kind", EVENT), item.get("pcr"), item.get("digest")
    if kind not in (EVENT, FINAL):
        raise _invalid("kind", f"{EVENT} or {FINAL}", kind)
    if type(pcr) is not int or pcr not in JUDGED_PCRS:
        raise _invalid("pcr", f"one of {', '.join(map(str, JUDGED_PCRS))}: no other is judged", pcr)
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdefABCDEF"):
        raise _invalid("digest", "SHA-256 in 64 hex digits", digest)
    return FirmwareValue(kind, pcr, bytes.fromhex(digest), _event_type(item.get("event_type"), kind))


def _event_type(given: object, kind: str) -> int | None:
    if given is None:
        return None
    if kind == FINAL:
        raise _invalid("event_type", "none: a final value has no type", given)
    if isinstance(given, str) and given in _TYPE_NUMBERS:
        return _TYPE_NUMBERS[given]
    number = given
    if isinstance(given, str) and given.startswith("0x") and 3 <= len(given) <= 10 and given[2:].isalnum():
        try:
            number = int(given, 16)
        except ValueError:
            number = None
    if type(number) is not int or not 0 <= number < 1 << 32:
        raise _invalid("event_type", "a name such as EV_EFI_ACTION, or 0x and 8 hex digits", given)
    return number


def _invalid(name: str, expected: str, got: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: expected {expected}, got {got!r:.80}", remedy=_REMEDY)
