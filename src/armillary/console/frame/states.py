# SPDX-License-Identifier: Apache-2.0
"""Which of the four states (good, attention, bad, unknown) every word of the API is drawn as.

The tables are closed: a word that is not in its table is drawn as ``unknown``, never as good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GOOD, ATTENTION, BAD, UNKNOWN = "good", "attention", "bad", "unknown"


@dataclass(frozen=True, slots=True)
class State:
    """A state as a template draws it: shape and colour by ``kind``, and the word beside it."""

    kind: str
    word: str


HEALTH: Mapping[str, State] = MappingProxyType(
    {
        "attested": State(GOOD, "attested"),
        "update-only": State(BAD, "update only"),
        "unattested": State(UNKNOWN, "unattested"),
        "silent": State(ATTENTION, "silent"),
        "refused": State(BAD, "refused"),
        "never": State(UNKNOWN, "never checked in"),
        "simulated": State(UNKNOWN, "simulated"),
        "revoked": State(BAD, "revoked"),
        "held": State(BAD, "held"),
        "quarantined": State(BAD, "in quarantine"),
        # What the console says before a health: it is no word of the API.
        "decommissioned": State(BAD, "out of service"),
    }
)
STEP: Mapping[str, State] = MappingProxyType(
    {"pass": State(GOOD, "pass"), "fail": State(BAD, "fail"), "not-run": State(UNKNOWN, "not run")}
)
VERDICT: Mapping[str, State] = MappingProxyType(
    {"attested": State(GOOD, "attested"), "update-only": State(BAD, "update only")}
)
APPLICATION: Mapping[str, State] = MappingProxyType(
    {
        "running": State(GOOD, "running"),
        "trial": State(ATTENTION, "on trial"),
        "stopped": State(ATTENTION, "stopped"),
        "failed": State(BAD, "failed"),
    }
)
ROLLOUT: Mapping[str, State] = MappingProxyType(
    {
        "proposed": State(ATTENTION, "waits for approval"),
        "running": State(GOOD, "running"),
        "held": State(ATTENTION, "halted"),
        "rolling-back": State(ATTENTION, "rolling back"),
        "rolled-back": State(BAD, "rolled back"),
        "completed": State(GOOD, "completed"),
        "cancelled": State(UNKNOWN, "cancelled"),
    }
)
# Fills of a roll-out's bar: "progress" is the fifth fill, hatched in the accent; it is no state of health.
ROLLOUT_DEVICE: Mapping[str, State] = MappingProxyType(
    {
        "confirmed": State(GOOD, "updated"),
        "restored": State(ATTENTION, "rolled back"),
        "offered": State("progress", "installing"),
        "started": State("progress", "may update"),
        "reverted": State(BAD, "reverted"),
        "failed": State(BAD, "failed"),
        "timed-out": State(BAD, "timed out"),
        "left": State(UNKNOWN, "left the group"),
        "waiting": State(UNKNOWN, "waiting"),
    }
)
SEVERITY: Mapping[str, State] = MappingProxyType(
    {
        "critical": State(BAD, "critical"),
        "high": State(BAD, "high"),
        "medium": State(ATTENTION, "medium"),
        "low": State(UNKNOWN, "low"),
        "info": State(UNKNOWN, "info"),
    }
)
# Gravest first.
SEVERITIES = tuple(SEVERITY)
CERTIFICATE: Mapping[str, State] = MappingProxyType(
    {
        "Active": State(GOOD, "active"),
        "Inactive": State(UNKNOWN, "inactive"),
        "Expired": State(BAD, "expired"),
        "Revoked": State(BAD, "revoked"),
    }
)
OUTCOME: Mapping[str, State] = MappingProxyType(
    {"confirmed": State(GOOD, "confirmed"), "reverted": State(BAD, "reverted"), "failed": State(BAD, "failed")}
)
EVENT: Mapping[str, State] = MappingProxyType(
    {
        "AppCrash": State(BAD, "AppCrash"),
        "AppExit": State(ATTENTION, "AppExit"),
        "InstallReverted": State(BAD, "InstallReverted"),
        "ConnectionBlocked": State(ATTENTION, "ConnectionBlocked"),
        "ListenerBlocked": State(ATTENTION, "ListenerBlocked"),
        "BootFailure": State(BAD, "BootFailure"),
    }
)

# What each trust tier's word means to a person; a tier that is not here is not known.
TIERS: Mapping[str, str] = MappingProxyType(
    {
        "simulated": "simulated root of trust",
        "software": "software root of trust",
        "tpm": "TPM root of trust",
        "silicon": "silicon root of trust",
        "unattested": "no root of trust",
    }
)
TIER_MEANING: Mapping[str, str] = MappingProxyType(
    {
        "simulated": "Its identity is made up by a simulator: it proves the protocol, nothing about hardware.",
        "software": "Its identity key lies in a file: whoever reads that file can speak as this device.",
        "tpm": "Its identity key is held by a TPM and cannot be read out; the TPM does not vouch for the boot ROM.",
        "unattested": "It attests nothing: it speaks hawkBit's protocol, and what it says of itself is its word.",
        "silicon": "Its identity key was made inside the chip and never leaves it.",
    }
)


def state_of(table: Mapping[str, State], word: str | None) -> State:
    """How ``word`` is drawn; anything the table does not know is unknown and keeps its word."""
    if word is None or word == "":
        return State(UNKNOWN, "not known")
    return table.get(word, State(UNKNOWN, word))


def tier_words(tier: str | None) -> str:
    """``software root of trust``; an unknown tier says so."""
    return TIERS.get(tier or "", "root of trust not known")
