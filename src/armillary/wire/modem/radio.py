# SPDX-License-Identifier: Apache-2.0
"""What a modem knows of its SIM and its network, in words; numbers of 3GPP TS 27.007 become them here."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class SimState(enum.StrEnum):
    """What the SIM wants (27.007 §8.3)."""

    UNKNOWN = "unknown"
    READY = "ready"
    PIN = "pin"  # wants its PIN
    PUK = "puk"  # too many wrong PINs: only its unblocking key helps
    MISSING = "missing"
    FAILED = "failed"  # it is there and does not work, or wants something that a device cannot give


class Registration(enum.StrEnum):
    """Whether a network has taken the modem in (27.007 §7.2, §10.1.22)."""

    IDLE = "idle"  # not registered, and not searching
    HOME = "home"
    SEARCHING = "searching"
    DENIED = "denied"
    UNKNOWN = "unknown"
    ROAMING = "roaming"


class Technology(enum.StrEnum):
    """How it speaks with the network (27.007 §7.3)."""

    UNKNOWN = "unknown"
    GSM = "gsm"
    UMTS = "umts"
    LTE = "lte"
    LTE_M = "lte-m"
    NB_IOT = "nb-iot"
    NR = "5g"


# <stat> of +CREG, +CGREG, +CEREG and +C5GREG; 6 and 7 are for SMS only, 9 and 10 without the CS fallback.
REGISTRATIONS: Final[Mapping[int, Registration]] = {
    0: Registration.IDLE,
    1: Registration.HOME,
    2: Registration.SEARCHING,
    3: Registration.DENIED,
    4: Registration.UNKNOWN,
    5: Registration.ROAMING,
    6: Registration.HOME,
    7: Registration.ROAMING,
    8: Registration.DENIED,  # emergency calls only
    9: Registration.HOME,
    10: Registration.ROAMING,
}
# <AcT>.
TECHNOLOGIES: Final[Mapping[int, Technology]] = {
    0: Technology.GSM,
    1: Technology.GSM,
    2: Technology.UMTS,
    3: Technology.GSM,
    4: Technology.UMTS,
    5: Technology.UMTS,
    6: Technology.UMTS,
    7: Technology.LTE,
    8: Technology.LTE_M,  # EC-GSM-IoT in 27.007; modules say it for LTE Cat-M1
    9: Technology.NB_IOT,
    10: Technology.LTE,
    11: Technology.NR,
    12: Technology.NR,
    13: Technology.NR,
}
# +CPIN: <code>.
SIM_CODES: Final[Mapping[str, SimState]] = {
    "READY": SimState.READY,
    "SIM PIN": SimState.PIN,
    "SIM PUK": SimState.PUK,
    "NOT INSERTED": SimState.MISSING,
    "NOT READY": SimState.UNKNOWN,
    "SIM REMOVED": SimState.MISSING,
}
# +CME ERROR, by number and by the text of the verbose form (27.007 §9.2.1).
SIM_ERRORS: Final[Mapping[int, SimState]] = {
    10: SimState.MISSING,
    11: SimState.PIN,
    12: SimState.PUK,
    13: SimState.FAILED,
    14: SimState.UNKNOWN,  # busy
    15: SimState.FAILED,  # another SIM is wanted
}
WRONG_PASSWORD: Final = 16
ERROR_TEXTS: Final[Mapping[str, int]] = {
    "sim not inserted": 10,
    "sim pin required": 11,
    "sim puk required": 12,
    "sim failure": 13,
    "sim busy": 14,
    "sim wrong": 15,
    "incorrect password": 16,
}


def csq_dbm(level: int) -> int | None:
    """Received strength of ``<rssi>`` of +CSQ (§8.5): 0 to 31 are -113 to -51 dBm, 99 is not known."""
    return -113 + 2 * level if 0 <= level <= 31 else None


def cesq_dbm(levels: tuple[int, ...]) -> int | None:
    """Received strength of ``<rxlev>,<ber>,<rscp>,<ecno>,<rsrq>,<rsrp>`` of +CESQ (§8.69), of what is known of it."""
    rxlev, _, rscp, _, _, rsrp = levels
    if 0 <= rsrp <= 97:
        return -141 + rsrp
    if 0 <= rscp <= 96:
        return -121 + rscp
    return -111 + rxlev if 0 <= rxlev <= 63 else None
