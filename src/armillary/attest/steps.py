# SPDX-License-Identifier: Apache-2.0
"""The steps of the appraisal by number and name, and what each prevents: devices show them, ``appraise.py`` asks."""

from __future__ import annotations

from typing import Final

# The whole appraisal: number, name, what goes wrong without it.
STEPS: Final[tuple[tuple[int, str, str], ...]] = (
    (1, "connection key", "One device speaking on a connection that another device's key opened."),
    (2, "challenge", "An old proof sent again, or a proof made for another device's connection."),
    (3, "endorsement", "A key that anybody made up posing as the key the boot ROM gave to this boot."),
    (4, "evidence", "Claims that were edited on the way, or written by software that lacks this boot's key."),
    (5, "device identity", "A genuine proof of one device handed in under the name of another."),
    (6, "service name", "A proof that was asked for by another service, or by an impostor, and passed on to this one."),
    (7, "report", "Installed images, update outcomes or error reports that were edited between device and service."),
    (8, "client key", "A certificate for a key that is no key, or that is this device's identity or boot key."),
    (9, "one boot", "The clean log of an earlier boot shown in place of the log of the boot that is running."),
    (
        10,
        "boot counter",
        "A copied device, or one whose storage was set back to an earlier day, passing as the original.",
    ),
    (11, "event log", "Events that were dropped, reordered, edited or added after the boot ROM measured them."),
    (12, "hardware", "A device that runs as another chip, or on a weaker root of trust, than the one enrolled."),
    (13, "known components", "A boot component that was changed or that nobody released."),
    (
        14,
        "complete release",
        "A boot component that is missing, doubled or out of place, or good ones of different releases mixed together.",
    ),
    (15, "security version", "An old release with known holes, validly signed, put back on the device."),
    (
        16,
        "tpm quote",
        "A boot that the device's TPM never measured, told by software that got hold of this boot's keys.",
    ),
    (
        17,
        "lineage",
        "A copied device that never meets the original's boot counter; and either of them until somebody has looked.",
    ),
    (
        18,
        "release in force",
        "A release that was withdrawn, or whose time is over, run on by a device that was not told.",
    ),
    (19, "catalog policy", "A device or a release that is weaker or older than the owner of its catalog accepts."),
    (
        20,
        "firmware log",
        "A machine started by firmware or a boot loader that nobody knows, or a log that was edited to hide it.",
    ),
)
# Two machines hold one identity when one of these fails: neither is let in until an operator has looked.
FORK_STEPS: Final = frozenset({10, 17})
