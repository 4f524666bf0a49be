# SPDX-License-Identifier: Apache-2.0
"""What kinds of findings are called, and what they mean: as ``wire/device/finding.py``, in any language. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from armillary.console.language.say import say

# kind -> (what it is called, what it means).
WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "attestation-failed": (
            say("attestation failed"),
            say("A device booted something the service cannot account for."),
        ),
        "proof-replayed": (
            say("proof replayed"),
            say("A proof was presented a second time, or on another connection than its own."),
        ),
        "proof-invalid": (
            say("proof invalid"),
            say("A proof does not verify: its signature, its key or its log is wrong."),
        ),
        "identity-forked": (say("identity forked"), say("One identity is used by two devices: boot counts run apart.")),
        "certificate-shared": (
            say("certificate shared"),
            say("One certificate is used in two places at the same time."),
        ),
        "refusals-burst": (
            say("refusals burst"),
            say("Requests of a device are refused again and again, for a reason that is ordinary once."),
        ),
        "device-unknown": (say("device unknown"), say("A device that was never manufactured here asked to be let in.")),
        "revoked-device-active": (say("revoked device active"), say("A revoked device still tries.")),
        "application-crashed": (say("application crashed"), say("An application crashes or exits again and again.")),
        "connection-blocked": (
            say("connection blocked"),
            say("An application tried to reach a host that its manifest does not name."),
        ),
        "listener-blocked": (
            say("listener blocked"),
            say("An application tried to listen at a port that its manifest does not name."),
        ),
        "install-reverted": (say("install reverted"), say("An update was reverted by devices.")),
        "device-silent": (say("device silent"), say("A device has not checked in for longer than it was asked to.")),
        "containment-weak": (say("containment weak"), say("A device lacks containment mechanisms.")),
        "verifier-behind": (
            say("verifier behind"),
            say("The part that lets devices in has stopped, was down, or does not keep up."),
        ),
        "rollout-held": (say("rollout held"), say("A roll-out was stopped because too many devices failed.")),
        "certificate-expiring": (
            say("certificate expiring"),
            say("A certificate of the service ends soon and has no successor."),
        ),
        "hub-anomaly": (say("hub anomaly"), say("The hub saw traffic that does not fit.")),
        "reports-suppressed": (
            say("reports suppressed"),
            say("A device reports more than is kept of one device; the rest is counted."),
        ),
        "vulnerability-in-field": (
            say("vulnerability in field"),
            say("Devices run what an advisory affects that is exploited or critical."),
        ),
        "feed-stale": (
            say("feed stale"),
            say("A feed of advisories is older than it may be: what it does not name is unknown."),
        ),
        "events-dropped": (
            say("events dropped"),
            say("More events came at once than the watch keeps; the rest was counted."),
        ),
        "reports-missing": (
            say("reports missing"),
            say("Error reports of a device never arrived: their numbers have a gap."),
        ),
        "behaviour-unusual": (
            say("behaviour unusual"),
            say("A device does far more of something than it and its like used to."),
        ),
        "clock": (
            say("clock"),
            say("A time by which something must be reported, answered or renewed is near, or over."),
        ),
        "support-ending": (
            say("support ending"),
            say("A product gets no more security updates soon, or none any more."),
        ),
        "vulnerability-reported": (
            say("vulnerability reported"),
            say("Somebody told of a vulnerability; what they wrote is in the inbox of reports."),
        ),
        "quarantine-requested": (
            say("quarantine requested"),
            say("A rule of the application asks that a device be kept apart."),
        ),
    }
)


def kind_words(kind: str) -> str:
    """A kind as people read it: ``proof replayed``."""
    return WORDS[kind][0] if kind in WORDS else kind.replace("-", " ")


def kind_meaning(kind: str, means: str = "") -> str:
    """What a kind means; of one that is not known here what the API says it ``means``."""
    return WORDS[kind][1] if kind in WORDS else means or say("A kind that is not known.")
