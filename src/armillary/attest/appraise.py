# SPDX-License-Identifier: Apache-2.0
"""The appraisal: is this the device it says it is, fresh, and what did it boot? One numbered list, ``steps.py``.

Steps 1 to 8 ask *who and when*: a failure raises and gives no certificate at all. Steps from 9 on ask *what
booted*: a failure gives the verdict "update-only", so that the device can be repaired over the air and do nothing
else. Each step is tagged ``# (n)`` where it is done.

Steps that stay with the caller, because they need a clock, a connection or the registry:

- (A) TLS 1.3 with a client certificate of the silicon CA, valid now, on *this* request (not only at the handshake).
- (B) The registry: known, claimed, not revoked, right catalog.
- (C) Spend :attr:`Appraisal.challenge_id` in the same transaction as the check-in; a second use is a replay.
- (D) Store ``boot_count``, ``endorsement_digest`` and ``security_versions`` of an attested check-in in the enrolment
  record, and the lineage of every check-in: steps 10, 15 and 17 compare with them next time. Hold a device whose
  step 10 or 17 failed (:data:`armillary.attest.steps.FORK_STEPS`).

One check-in costs one ECDSA verify: the endorsement of a boot and the judgement of an event log do not change
from check-in to check-in and are kept in an :class:`AppraisalMemory` keyed by their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from armillary.attest.challenge import ChallengeId, kept_challenge, open_challenge
from armillary.attest.judgement import AppraisalMemory, Judgement, judge_log, verified_endorsement
from armillary.attest.lineage import NO_LINEAGE, NONE_YET, Lineage, lineage_fault
from armillary.attest.policy import PolicyInForce, containment_fault
from armillary.attest.reference import ReferenceValues, utc
from armillary.attest.started_systems import StartedSystems
from armillary.attest.steps import FORK_STEPS, STEPS
from armillary.attest.tpm_quote import firmware_fault, quote_fault
from armillary.errors import AppraisalError, WireError
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.attestation.evidence import Endorsement, Evidence, parse_evidence
from armillary.wire.device.checkin import AppraisalStep, CheckinRequest, encode_report, signed_digest
from armillary.wire.encoding import cose

ATTESTED: Final = "attested"
UPDATE_ONLY: Final = "update-only"

# What a root of trust can at most be enrolled as; the enrolment record decides the tier, step 12 only notices
# that a device has become weaker than its record. A silicon root of trust speaks TPM 2.0 or better, so it has no
# word of its own on the wire.
_STRENGTH: Final = {"simulated": 0, "software": 1, "tpm2": 2}
_TIER_STRENGTH: Final = {"simulated": 0, "software": 1, "tpm": 2, "silicon": 2}

_QUOTE_STEP: Final = 16
_LINEAGE_STEP: Final = 17
_RELEASE_STEP: Final = 18
_POLICY_STEP: Final = 19
_FIRMWARE_STEP: Final = 20
# What is asked of the events of a log that replays, or of the release they make up.
_LOG_STEPS: Final = frozenset({13, 14, 15, _RELEASE_STEP, _POLICY_STEP})
# What has to hold before a machine's firmware is compared with reference values: the quote, and the replay of the log.
_BEFORE_FIRMWARE: Final = frozenset({_QUOTE_STEP, _FIRMWARE_STEP})
_ALL_PASSED: Final = tuple(AppraisalStep(number, name, prevents, "pass", "") for number, name, prevents in STEPS)
_NO_TPM: Final = AppraisalStep(*STEPS[_QUOTE_STEP - 1], "not-run", "Enrolled without a TPM: nothing is quoted.")
_NO_FIRMWARE: Final = AppraisalStep(*STEPS[_FIRMWARE_STEP - 1], "not-run", "No log of the machine's firmware was sent.")
_FIRMWARE_DEMANDED: Final = (
    "This catalog demands the log of the machine's firmware; the device sent none that a TPM vouches for."
)
_PASSED_WITHOUT_FIRMWARE: Final = (*_ALL_PASSED[: _FIRMWARE_STEP - 1], _NO_FIRMWARE)
_PASSED_WITHOUT_TPM: Final = (
    *_PASSED_WITHOUT_FIRMWARE[: _QUOTE_STEP - 1],
    _NO_TPM,
    *_PASSED_WITHOUT_FIRMWARE[_QUOTE_STEP:],
)
# Stands for a value that this service never issued: it equals no id.
_NEVER_GIVEN: Final = b"never given"
# The tiers that promise a TPM; their devices quote, or fail step 16.
_QUOTING_TIERS: Final = frozenset({"tpm", "silicon"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What the registry knows about a device, independent of anything the device says now.

    Attributes:
        device_id: 128 lower-case hex digits.
        identity_key: X || Y of the device identity key, 64 bytes.
        chip: Chip profile it was manufactured with.
        trust_tier: ``simulated``, ``software``, ``tpm`` or ``silicon``.
        last_boot_count: Boot count of the last attested check-in, 0 before the first.
        last_endorsement: SHA-256 of the endorsement of that check-in, empty before the first.
        minimum_security_versions: Image type to the highest version this device was ever attested with.
        attestation_key: X || Y of the TPM's attestation key, 64 bytes, proven at enrolment; empty without a TPM.
    """

    device_id: str
    identity_key: bytes
    chip: str
    trust_tier: str
    last_boot_count: int = 0
    last_endorsement: bytes = b""
    minimum_security_versions: Mapping[int, int] = field(default_factory=dict)
    attestation_key: bytes = b""


class Appraisal(NamedTuple):
    """The result: RFC 9334's attestation result.

    Attributes:
        verdict: ``attested`` or ``update-only``.
        steps: One entry per row of :data:`armillary.attest.steps.STEPS`, in order.
        evidence: The verified claims.
        events: The events of a log that replays to the signed head; empty where it does not.
        challenge_id: For the caller to spend.
        endorsement_digest: SHA-256 of the endorsement's bytes.
        security_versions: Image type to lowest security version in this boot; empty where the log does not replay.
    """

    verdict: str
    steps: tuple[AppraisalStep, ...]
    evidence: Evidence
    events: tuple[BootEvent, ...]
    challenge_id: ChallengeId
    endorsement_digest: bytes
    security_versions: Mapping[int, int]
    trust_tier: str


def appraise(
    request: CheckinRequest,
    *,
    enrolment: Enrolment,
    reference: ReferenceValues,
    peer_key: bytes,
    challenge_key: bytes,
    now: int,
    service_name: str,
    memory: AppraisalMemory | None = None,
    lineage: Lineage = NO_LINEAGE,
    policy: PolicyInForce | None = None,
    started: StartedSystems | None = None,
) -> Appraisal:
    """Judge one check-in.

    Args:
        request: As parsed.
        enrolment: The registry's record of the device whose certificate opened the connection.
        reference: Known good boot components.
        peer_key: DER SubjectPublicKeyInfo of the TLS client certificate.
        challenge_key: The service's challenge key.
        now: Unix seconds UTC.
        service_name: This service's name.
        memory: Endorsements and logs judged before; None judges everything anew.
        lineage: As recorded at the last check-in.
        policy: What the device's catalog demands; None for nothing.
        started: What a firmware measures of the releases' packages; None where nothing is known of them.

    Raises:
        WireError: evidence, endorsement or log are malformed.
        ChallengeError: step 2.
        SignatureError: steps 3 and 4.
        AppraisalError: steps 1 and 5 to 8.
    """
    # (1) The TLS peer proved possession of the key that is enrolled. The id is the key, so nothing else maps them.
    if peer_key != cose.spki_from_point(enrolment.identity_key):
        raise _refused(1, "the enrolled identity key", "a certificate for another key")
    unverified = parse_evidence(request.evidence)
    # (2) Cheapest first: a stale or foreign challenge costs no signature check. The challenge is the device's
    # word until step 4; here it only has to be one of ours.
    challenge_id = open_challenge(challenge_key, unverified.claims.challenge, now=now, peer_key=peer_key)
    # (3) The alias key is trusted because the identity key signed it.
    endorsement, endorsement_digest = verified_endorsement(request.endorsement, enrolment.identity_key, memory)
    # (4) From here on the claims are the alias key's.
    cose.verify_sign1(unverified.message, cose.public_key(endorsement.alias_key), what="evidence")
    evidence = unverified.claims
    _check_binding(request, evidence, endorsement, enrolment, service_name)
    judgement = judge_log(request.event_log, endorsement.log_head, enrolment.chip, reference, memory)
    faults = _boot_faults(evidence, endorsement, endorsement_digest, enrolment, judgement)
    passed = _PASSED_WITHOUT_TPM
    if enrolment.trust_tier in _QUOTING_TIERS:
        passed = _check_tpm(request, endorsement, enrolment, memory, faults)
        _check_started(request, judgement, started, faults)
    # (17) It continues what the newest reply, or a lost one, began.
    if (lineage.held_at is not None or challenge_id.id != lineage.newest) and (
        fault := lineage_fault(lineage, challenge_id.id, shown_id(request, challenge_key, peer_key))
    ):
        faults[_LINEAGE_STEP] = fault
    # (18) Whether the release was withdrawn was judged with the log; its time passes by itself.
    if now >= judgement.expires_at and _RELEASE_STEP not in faults:
        faults[_RELEASE_STEP] = f"The release was good until {utc(judgement.expires_at)}; that is over."
    # (19)
    if policy is not None:
        demanded = policy.fault(enrolment.trust_tier, enrolment.chip, judgement, reference, now)
        contained = containment_fault(policy.policy, evidence.enforcement)
        if fault := " ".join(filter(None, (demanded, contained))):
            faults[_POLICY_STEP] = fault
        _check_firmware_policy(request, enrolment, policy, now, faults)
    return Appraisal(
        UPDATE_ONLY if faults else ATTESTED,
        _with_faults(faults, judgement, passed) if faults else passed,
        evidence,
        judgement.events,
        challenge_id,
        endorsement_digest,
        judgement.security_versions,
        enrolment.trust_tier,
    )


def _check_binding(
    request: CheckinRequest, evidence: Evidence, endorsement: Endorsement, enrolment: Enrolment, service_name: str
) -> None:
    """Steps 5 to 8: what was signed belongs to this device, this service, this request and a usable key."""
    # (5)
    if not enrolment.device_id == evidence.device_id == endorsement.device_id:
        raise _refused(5, f"device {enrolment.device_id[:16]}...", f"a proof of device {evidence.device_id[:16]}...")
    # (6)
    if evidence.service_name != service_name:
        raise _refused(6, f"a proof for {service_name!r}", f"one for {evidence.service_name!r}")
    # (7)
    digest = request.report_digest or _report_digest(request)
    if evidence.report_digest != signed_digest(digest, request.lineage):
        raise _refused(7, "the report the evidence was signed with", "another report")
    # (8)
    point = cose.point_from_spki(evidence.certificate_key)
    if point in (enrolment.identity_key, endorsement.alias_key):
        raise _refused(8, "a new key", "the device's identity or alias key")
    try:
        cose.check_point(point)
    except WireError as error:
        raise _refused(8, "a P-256 key", "a pair of numbers that is no point of the curve") from error


def _check_tpm(
    request: CheckinRequest,
    endorsement: Endorsement,
    enrolment: Enrolment,
    memory: AppraisalMemory | None,
    faults: dict[int, str],
) -> tuple[AppraisalStep, ...]:
    """Steps 16 and 20, into ``faults``; the steps of a device of this kind that passes them all."""
    firmware = request.firmware
    # (16) The TPM measured this boot, and says so for this very evidence.
    if fault := quote_fault(
        request.tpm_quote, request.evidence, endorsement.log_head, enrolment.attestation_key, firmware
    ):
        faults[_QUOTE_STEP] = fault
        return _PASSED_WITHOUT_FIRMWARE
    if firmware is None:
        return _PASSED_WITHOUT_FIRMWARE
    # (20) Judged where the TPM vouches for the values it has to replay to.
    if fault := firmware_fault(firmware, None if memory is None else memory.firmware):
        faults[_FIRMWARE_STEP] = fault
    return _ALL_PASSED


def _check_started(
    request: CheckinRequest, judgement: Judgement, started: StartedSystems | None, faults: dict[int, str]
) -> None:
    """The service's part of step 20, into ``faults``: the firmware started the OS that the boot's log names."""
    if started is None or request.firmware is None or faults.keys() & _BEFORE_FIRMWARE:
        return
    if fault := started.fault(request.firmware, judgement.events):
        faults[_FIRMWARE_STEP] = fault


def _check_firmware_policy(
    request: CheckinRequest, enrolment: Enrolment, policy: PolicyInForce, now: int, faults: dict[int, str]
) -> None:
    """The owner's part of step 20, into ``faults``: a log is sent, and it is of firmware that the owner knows."""
    has_tpm = enrolment.trust_tier in _QUOTING_TIERS
    if policy.policy.firmware_log and (request.firmware is None or not has_tpm):
        faults[_FIRMWARE_STEP] = _FIRMWARE_DEMANDED
    elif policy.firmware is None or not has_tpm or faults.keys() & _BEFORE_FIRMWARE:
        return
    elif fault := policy.firmware.fault(enrolment.chip, request.firmware, now):
        faults[_FIRMWARE_STEP] = fault


def _boot_faults(
    evidence: Evidence,
    endorsement: Endorsement,
    endorsement_digest: bytes,
    enrolment: Enrolment,
    judgement: Judgement,
) -> dict[int, str]:
    """Steps 9 to 15: number of each failing step and what was found; empty for a known good boot."""
    faults: dict[int, str] = {}
    if detail := _other_boot(evidence, endorsement):
        faults[9] = detail
    if detail := _counter_fault(endorsement, endorsement_digest, enrolment):
        faults[10] = detail
    if detail := _hardware_fault(evidence, enrolment):
        faults[12] = detail
    # (11), (13), (14) and the release's part of (15) were judged from the log alone
    if judgement.faults:
        faults.update(judgement.faults)
    if not judgement.events:
        return faults
    # (14) the version the device names is one that these components make up
    if 14 not in faults and 13 not in faults and evidence.os_version not in judgement.releases:
        faults[14] = (
            f"The components are release {', '.join(judgement.releases)}, the device says {evidence.os_version}."
        )
    # (15) a device never goes below what it was attested with before; equal tables need no closer look
    if 15 not in faults and judgement.security_versions != enrolment.minimum_security_versions:
        for image_type, version in judgement.security_versions.items():
            minimum = enrolment.minimum_security_versions.get(image_type, 0)
            if version < minimum:
                faults[15] = f"Image type {image_type} has security version {version}, this device had {minimum}."
                break
    return faults


def _other_boot(evidence: Evidence, endorsement: Endorsement) -> str:
    """Step (9): what differs between the boot the evidence speaks of and the endorsed one; empty if nothing."""
    if evidence.log_head == endorsement.log_head and evidence.boot_count == endorsement.boot_count:
        return ""
    return (
        f"The evidence speaks of boot {evidence.boot_count} with log head {evidence.log_head.hex()[:16]}..., the "
        f"endorsement of boot {endorsement.boot_count} with {endorsement.log_head.hex()[:16]}..."
    )


def _counter_fault(endorsement: Endorsement, endorsement_digest: bytes, enrolment: Enrolment) -> str:
    """Step (10): the counter went back, or one boot has two endorsements; empty if neither.

    A boot signs its endorsement once and ECDSA signatures are random, so a copy of the device that counts on
    from the same number betrays itself by other bytes.
    """
    count, last = endorsement.boot_count, enrolment.last_boot_count
    if count < last:
        return f"Boot {count} after boot {last} was seen."
    if count == last and enrolment.last_endorsement and endorsement_digest != enrolment.last_endorsement:
        return f"A second endorsement for boot {count}: two machines hold this identity."
    return ""


def _hardware_fault(evidence: Evidence, enrolment: Enrolment) -> str:
    """Step (12): another chip, or a weaker root of trust, than enrolled; empty if neither."""
    if evidence.chip != enrolment.chip:
        return f"Enrolled as chip {enrolment.chip!r}, runs as {evidence.chip!r}."
    if _STRENGTH[evidence.root_of_trust] < _TIER_STRENGTH[enrolment.trust_tier]:
        return f"Enrolled as tier {enrolment.trust_tier!r}, runs on root of trust {evidence.root_of_trust!r}."
    return ""


def _with_faults(
    faults: Mapping[int, str], judgement: Judgement, passed: tuple[AppraisalStep, ...]
) -> tuple[AppraisalStep, ...]:
    """All steps with their results; what needs a log that replays is "not-run" where it does not."""
    steps = []
    for number, name, prevents in STEPS:
        if number in faults:
            steps.append(AppraisalStep(number, name, prevents, "fail", faults[number]))
        elif (waits_for := _waits_for(number, faults, judgement)) is not None:
            steps.append(AppraisalStep(number, name, prevents, "not-run", f"Needs step {waits_for} to pass."))
        else:
            steps.append(passed[number - 1])
    return tuple(steps)


def _waits_for(number: int, faults: Mapping[int, str], judgement: Judgement) -> int | None:
    """The step that has to pass before step ``number`` can be asked; None where it was asked."""
    if number in _LOG_STEPS and not judgement.events:
        return 11
    if number in _LOG_STEPS - {13, 15} and 13 in faults:
        return 13
    if number in (_RELEASE_STEP, _POLICY_STEP) and not judgement.releases:
        return 14
    if number == _FIRMWARE_STEP and _QUOTE_STEP in faults:
        return _QUOTE_STEP
    return None


def shown_id(request: CheckinRequest, challenge_key: bytes, peer_key: bytes) -> bytes | None:
    """The id of the lineage value that a request carries beside its report, as ``attest/lineage.py`` takes it."""
    if not request.lineage:
        return None if request.lineage is None else NONE_YET
    kept = kept_challenge(challenge_key, request.lineage, peer_key=peer_key)
    return _NEVER_GIVEN if kept is None else kept.id


def lineage_broken(steps: tuple[AppraisalStep, ...]) -> bool:
    """Whether step 17 failed."""
    return steps[_LINEAGE_STEP - 1].result == "fail"


def quoted(steps: tuple[AppraisalStep, ...]) -> bool:
    """Whether step 16 passed: a TPM vouches for the firmware's PCR values, if any were sent."""
    return steps[_QUOTE_STEP - 1].result == "pass"


def fork_found(steps: tuple[AppraisalStep, ...]) -> str:
    """Why two machines seem to hold one identity; empty if nothing says so."""
    return next((step.detail for step in steps if step.number in FORK_STEPS and step.result == "fail"), "")


def _report_digest(request: CheckinRequest) -> bytes:
    return sha256(encode_report(request.installed, request.outcomes, request.error_reports)).digest()


def _refused(number: int, expected: str, got: str) -> AppraisalError:
    name = STEPS[number - 1][1]
    return AppraisalError(f"appraisal step {number} ({name}): expected {expected}, got {got}", step=number)
