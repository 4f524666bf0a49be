# SPDX-License-Identifier: Apache-2.0
"""The seven properties of highly secured devices, each as one question to the facts about a device.

A check is answered from evidence that is newer than the time after which a device counts as silent; older evidence
makes a statement stale, whatever it says. What is not known is absent: no statement is present by default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

PRESENT: Final = "present"
ABSENT: Final = "absent"
STALE: Final = "stale"
OUT_OF_SCOPE: Final = "out-of-scope"
STATES: Final = (PRESENT, ABSENT, STALE, OUT_OF_SCOPE)

# Tiers whose identity key no software of the device can read.
HARDWARE_TIERS: Final = frozenset({"tpm", "silicon"})
# What the trusted computing base may grow by from one release to the next before somebody has to look, percent.
MAX_GROWTH_PERCENT: Final = 10
# Of releases that differ in size by more than this, one is no whole OS: a stand-in, or packages that were cut short.
MAX_COMPARED: Final = 10
# What divides a machine between applications; devices from before control groups do not name it.
DIVIDES = frozenset({"memory-limit", "processor-limit"})
# The sandbox that contains nothing.
NO_SANDBOX: Final = "process"
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSoftware:
    """What of a device's software every application has to trust: the components of its OS release, in bytes.

    Attributes:
        size: Of all components of the release.
        before: Size and version of the release before it for the same chip, of those not withdrawn; None for the first.
        in_force: Whether the release is one that devices may run: published, not withdrawn, not expired.
    """

    size: int
    before: tuple[int, str] | None
    in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the service knows of a device, or of many that are alike in all of this. Times in Unix seconds.

    Attributes:
        tier: ``simulated``, ``software``, ``tpm`` or ``silicon``, of the enrolment record.
        health: One word of ``engines.records.schema.rows.HEALTHS``.
        enforcement: Mechanism -> ``enforced``, or ``missing: why``, as the signed evidence says.
        base: None where the release that it runs is not known here.
        has_certificate: Whether its client certificate is valid now.
        updates_os: Whether it says that it installs OS releases over the air.
        takes_directives: Whether it installs nothing but what the update repository vouches for.
    """

    tier: str
    health: str
    os_version: str
    sandbox: str
    enforcement: Mapping[str, str]
    base: TrustedSoftware | None
    has_certificate: bool
    updates_os: bool
    takes_directives: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """Mechanisms that do not hold."""
        return tuple(sorted(name for name, said in self.enforcement.items() if said != "enforced"))


@dataclass(frozen=True, slots=True)
class Answer:
    """A state of :data:`STATES`, and why, as sentences for people."""

    state: str
    says: str


@dataclass(frozen=True, slots=True)
class Property:
    """One of the seven.

    Attributes:
        name: Stable, for scripts.
        question: What is asked of the device.
        evidence: Routes below ``/api/v1`` that show what the answer rests on; ``{device}`` is the device's id.
        ask: The check, of a device that was attested when it was heard of last.
    """

    name: str
    title: str
    question: str
    evidence: tuple[str, ...]
    ask: Callable[[Facts], Answer]


def assess(each: Property, facts: Facts) -> Answer:
    """The answer for one property: what is true of every property first."""
    common = _NOT_ATTESTED.get(facts.health)
    return each.ask(facts) if common is None else common


_NOT_ATTESTED: Final[Mapping[str, Answer]] = {
    "never": Answer(ABSENT, "It has never checked in: nothing is known of it."),
    "simulated": Answer(OUT_OF_SCOPE, "A simulator plays it: it sends values and can prove none of this."),
    "silent": Answer(STALE, "It is silent: what it proved last is too old to say anything of today."),
    "refused": Answer(ABSENT, "Its last request was refused: it has not proven who it is."),
    "held": Answer(ABSENT, "Two machines may hold its identity: what either proves is not taken for the device's."),
    "quarantined": Answer(ABSENT, "It is in quarantine: somebody does not trust it, and it may do nothing but update."),
    "revoked": Answer(OUT_OF_SCOPE, "It is revoked: it gets no certificate, and nothing is expected of it."),
    "update-only": Answer(ABSENT, "What it booted is not what was released: nothing that it says of itself counts."),
    "unattested": Answer(OUT_OF_SCOPE, "It is of a kind that does not attest: it can prove none of this."),
}


def _root_of_trust(facts: Facts) -> Answer:
    if facts.tier in HARDWARE_TIERS:
        return Answer(PRESENT, f"Tier {facts.tier}: hardware keeps its identity key, and signed what it booted.")
    if facts.tier == "software":
        return Answer(ABSENT, "Tier software: its identity key is a file. A copy is found, not prevented.")
    return Answer(ABSENT, f"Tier {facts.tier}: a simulator, in which no hardware keeps anything.")


def _defence_in_depth(facts: Facts) -> Answer:
    layers = ["boot that was verified and measured", "certificate only for what was attested"]
    if facts.sandbox in ("", NO_SANDBOX) or not facts.enforcement:
        return Answer(ABSENT, "Nothing contains its applications: one that is taken over has the whole system.")
    if facts.missing:
        return Answer(ABSENT, f"Its applications are contained in part; missing: {', '.join(facts.missing)}.")
    layers.append(f"applications contained by {len(facts.enforcement)} mechanisms, each probed")
    if facts.takes_directives:
        layers.append("updates vouched for by two roles of keys")
    return Answer(PRESENT, f"{len(layers)} layers hold: {'; '.join(layers)}.")


def _trusted_base(facts: Facts) -> Answer:
    base = facts.base
    if base is None:
        return Answer(ABSENT, f"The size of OS {facts.os_version or '(unknown)'} is not known here.")
    size = f"The OS that applications have to trust is {base.size:,} bytes"
    if base.before is None:
        return Answer(PRESENT, f"{size}; it is the first release of its chip, so that no growth is known.")
    before, version = base.before
    if not before <= base.size * MAX_COMPARED or not base.size <= before * MAX_COMPARED:
        return Answer(
            PRESENT, f"{size}; it is not compared with {version}, whose {before:,} bytes are no OS of the same kind."
        )
    growth = 100 * (base.size - before) / before if before else 0.0
    told = f"{size}, {growth:+.1f} % against {version}"
    if growth > MAX_GROWTH_PERCENT:
        return Answer(ABSENT, f"{told}: more than {MAX_GROWTH_PERCENT} %, which somebody should explain.")
    return Answer(PRESENT, f"{told}.")


def _compartments(facts: Facts) -> Answer:
    if facts.sandbox in ("", NO_SANDBOX) or not facts.enforcement:
        return Answer(ABSENT, "Its applications are plain processes: the failure of one can be the failure of all.")
    if facts.missing:
        return Answer(ABSENT, f"Its compartments leak where a mechanism is missing: {', '.join(facts.missing)}.")
    if facts.enforcement.keys() >= DIVIDES:
        return Answer(
            PRESENT,
            "Each application has a compartment of its own, with its part of memory and processor, and deployments add "
            "new ones.",
        )
    return Answer(
        PRESENT,
        "Each application has a compartment of its own, and deployments add new ones. Memory and processor are not "
        "divided between them.",
    )


def _certificates(facts: Facts) -> Answer:
    if not facts.has_certificate:
        return Answer(STALE, "Its client certificate has ended, and it has not fetched the next one.")
    return Answer(PRESENT, "It is known by a certificate for at most 24 hours, given for proof of what it booted.")


def _error_reports(_: Facts) -> Answer:
    return Answer(PRESENT, "Failures of its OS and applications come with its check-ins, signed with its evidence.")


def _renewal(facts: Facts) -> Answer:
    if facts.base is not None and not facts.base.in_force:
        return Answer(ABSENT, f"It runs OS {facts.os_version}, which was withdrawn or has expired.")
    if not facts.updates_os:
        return Answer(ABSENT, "Its OS is not updated over the air: it does not say that it installs releases.")
    return Answer(PRESENT, f"Its OS and applications are renewed over the air; it runs OS {facts.os_version}.")


PROPERTIES: Final = (
    Property(
        "hardware-root-of-trust",
        "Hardware root of trust",
        "Is its identity one that no software of the device can copy, and is its boot vouched for by hardware?",
        ("/devices/{device}", "/devices/{device}/check-ins"),
        _root_of_trust,
    ),
    Property(
        "defence-in-depth",
        "Defence in depth",
        "Does it stay protected where one layer of its security is broken?",
        ("/devices/{device}/check-ins",),
        _defence_in_depth,
    ),
    Property(
        "small-trusted-computing-base",
        "Small trusted computing base",
        "Is the software that everything has to trust small, and does it stay so?",
        ("/releases",),
        _trusted_base,
    ),
    Property(
        "dynamic-compartments",
        "Dynamic compartments",
        "Is a failure contained in one part, and can parts be added in the field?",
        ("/devices/{device}",),
        _compartments,
    ),
    Property(
        "certificate-based-authentication",
        "Certificate-based authentication",
        "Is it known by a certificate, not by a password, and only for what it has proven?",
        ("/devices/{device}",),
        _certificates,
    ),
    Property(
        "error-reporting",
        "Error reporting",
        "Are its failures reported to who can mend them?",
        ("/devices/{device}/error-reports",),
        _error_reports,
    ),
    Property(
        "renewable-security",
        "Renewable security",
        "Is its software updated by itself, and what was compromised revoked?",
        ("/devices/{device}/update-status",),
        _renewal,
    ),
)
