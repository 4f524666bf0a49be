# SPDX-License-Identifier: Apache-2.0
"""Which of the four states (good, attention, bad, unknown) every word of the API is drawn as.

The tables are closed: a word that is not in its table is drawn as ``unknown``, never as good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from armillary.console.language.say import say

GOOD, ATTENTION, BAD, UNKNOWN = "good", "attention", "bad", "unknown"


@dataclass(frozen=True, slots=True)
class State:
    """A state as a template draws it: shape and colour by ``kind``, and the word beside it."""

    kind: str
    word: str


HEALTH: Mapping[str, State] = MappingProxyType(
    {
        "attested": State(GOOD, say("attested")),
        "update-only": State(BAD, say("update only")),
        "unattested": State(UNKNOWN, say("unattested")),
        "silent": State(ATTENTION, say("silent")),
        "refused": State(BAD, say("refused")),
        "never": State(UNKNOWN, say("never checked in")),
        "simulated": State(UNKNOWN, say("simulated")),
        "revoked": State(BAD, say("revoked")),
        "held": State(BAD, say("held")),
        "quarantined": State(BAD, say("in quarantine")),
        # What the console says before a health: it is no word of the API.
        "decommissioned": State(BAD, say("out of service")),
    }
)
STEP: Mapping[str, State] = MappingProxyType(
    {"pass": State(GOOD, say("pass")), "fail": State(BAD, say("fail")), "not-run": State(UNKNOWN, say("not run"))}
)
VERDICT: Mapping[str, State] = MappingProxyType(
    {"attested": State(GOOD, say("attested")), "update-only": State(BAD, say("update only"))}
)
APPLICATION: Mapping[str, State] = MappingProxyType(
    {
        "running": State(GOOD, say("running")),
        "trial": State(ATTENTION, say("on trial")),
        "stopped": State(ATTENTION, say("stopped")),
        "failed": State(BAD, say("failed")),
    }
)
ROLLOUT: Mapping[str, State] = MappingProxyType(
    {
        "proposed": State(ATTENTION, say("waits for approval")),
        "running": State(GOOD, say("running")),
        "held": State(ATTENTION, say("halted")),
        "rolling-back": State(ATTENTION, say("rolling back")),
        "rolled-back": State(BAD, say("rolled back")),
        "completed": State(GOOD, say("completed")),
        "cancelled": State(UNKNOWN, say("cancelled")),
    }
)
# Fills of a roll-out's bar: "progress" is the fifth fill, hatched in the accent; it is no state of health.
ROLLOUT_DEVICE: Mapping[str, State] = MappingProxyType(
    {
        "confirmed": State(GOOD, say("updated")),
        "restored": State(ATTENTION, say("rolled back")),
        "offered": State("progress", say("installing")),
        "started": State("progress", say("may update")),
        "reverted": State(BAD, say("reverted")),
        "failed": State(BAD, say("failed")),
        "timed-out": State(BAD, say("timed out")),
        "left": State(UNKNOWN, say("left the group")),
        "waiting": State(UNKNOWN, say("waiting")),
    }
)
SEVERITY: Mapping[str, State] = MappingProxyType(
    {
        "critical": State(BAD, say("critical")),
        "high": State(BAD, say("high")),
        "medium": State(ATTENTION, say("medium")),
        "low": State(UNKNOWN, say("low")),
        "info": State(UNKNOWN, say("info")),
    }
)
# Gravest first.
SEVERITIES = tuple(SEVERITY)
CERTIFICATE: Mapping[str, State] = MappingProxyType(
    {
        "Active": State(GOOD, say("active")),
        "Inactive": State(UNKNOWN, say("inactive")),
        "Expired": State(BAD, say("expired")),
        "Revoked": State(BAD, say("revoked")),
    }
)
OUTCOME: Mapping[str, State] = MappingProxyType(
    {
        "confirmed": State(GOOD, say("confirmed")),
        "reverted": State(BAD, say("reverted")),
        "failed": State(BAD, say("failed")),
    }
)
EVENT: Mapping[str, State] = MappingProxyType(
    {
        "AppCrash": State(BAD, "AppCrash"),
        "AppExit": State(ATTENTION, "AppExit"),
        "InstallReverted": State(BAD, "InstallReverted"),
        "ConnectionBlocked": State(ATTENTION, "ConnectionBlocked"),
        "ListenerBlocked": State(ATTENTION, "ListenerBlocked"),
        "CapabilityBlocked": State(ATTENTION, "CapabilityBlocked"),
        "ListenerFailed": State(ATTENTION, "ListenerFailed"),
        "StorageFull": State(ATTENTION, "StorageFull"),
        "SandboxWeakened": State(ATTENTION, "SandboxWeakened"),
        "BootFailure": State(BAD, "BootFailure"),
    }
)

# What each trust tier's word means to a person; a tier that is not here is not known.
TIERS: Mapping[str, str] = MappingProxyType(
    {
        "simulated": say("simulated root of trust"),
        "software": say("software root of trust"),
        "tpm": say("TPM root of trust"),
        "silicon": say("silicon root of trust"),
        "unattested": say("no root of trust"),
    }
)
TIER_MEANING: Mapping[str, str] = MappingProxyType(
    {
        "simulated": say("Its identity is made up by a simulator: it proves the protocol, nothing about hardware."),
        "software": say("Its identity key lies in a file: whoever reads that file can speak as this device."),
        "tpm": say(
            "Its identity key is held by a TPM and cannot be read out; the TPM does not vouch for the boot ROM."
        ),
        "unattested": say("It attests nothing: it speaks hawkBit's protocol, and what it says of itself is its word."),
        "silicon": say("Its identity key was made inside the chip and never leaves it."),
    }
)


def state_of(table: Mapping[str, State], word: str | None) -> State:
    """How ``word`` is drawn; anything the table does not know is unknown and keeps its word."""
    if word is None or word == "":
        return State(UNKNOWN, say("not known"))
    return table.get(word, State(UNKNOWN, word))


def tier_words(tier: str | None) -> str:
    """``software root of trust``; an unknown tier says so."""
    return TIERS.get(tier or "", say("root of trust not known"))
