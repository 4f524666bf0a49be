# SPDX-License-Identifier: Apache-2.0
"""The verifier (RFC 9334): from a request on a connection to a decision, a certificate and an offer, ready to record.

``attest/appraise.py`` judges the proof; here are the steps it leaves to its caller: the registry (B), spending the
challenge (C), storing what the next appraisal compares with (D). Nothing here waits: :meth:`Verifier.check_in`
prepares everything, the endpoint records it, and only after the commit :meth:`Verifier.recorded` lets the reply go.
One event loop uses one verifier; it takes no lock.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from random import Random
from typing import Final, NamedTuple
from uuid import UUID

from armillary.attest import appraise as attest
from armillary.attest.challenge import LIFETIME_S, MAX_LIFETIME_S, RANDOM_BYTES, kept_challenge, mint, open_challenge
from armillary.attest.firmware_reference import FirmwareValue, measured
from armillary.attest.judgement import AppraisalMemory
from armillary.attest.lineage import ID_BYTES, Lineage, continued
from armillary.engines.records.queries import check_ins as check_in_rows
from armillary.engines.records.queries.check_ins import CheckInWrite, OutcomeWrite
from armillary.engines.records.queries.devices import (
    BootDetails,
    enforcement_text,
    installed_text,
    update_status_from,
    update_status_text,
)
from armillary.engines.records.schema.lineage import lineage_text, serial_of
from armillary.engines.records.schema.update_rows import DeviceUpdateStatus
from armillary.errors import ChallengeError, RateLimitedError, ReplayedProofError, UnclaimedDeviceError, WireError
from armillary.identity.issue import terms_for
from armillary.service.authority.authority import Authority
from armillary.service.authority.issued import new_serial, serial_text
from armillary.service.authority.trust_chain import TrustBook, Trusts
from armillary.service.context.context import Context
from armillary.service.context.number_set import NumberSet
from armillary.service.repository.director import Director
from armillary.service.updates.offers import Offers, Wanted
from armillary.service.updates.staging import leased
from armillary.service.verifier.attestation_policy import AttestationPolicies
from armillary.service.verifier.device_rates import DeviceRates
from armillary.service.verifier.device_states import NEVER, DeviceState, DeviceStates, LastAnswer
from armillary.service.verifier.peers import Peer
from armillary.service.verifier.releases import Releases
from armillary.update.schedule.begin import not_yet
from armillary.wire.attestation.evidence import parse_evidence
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.device.challenge import Challenge, encode_challenge
from armillary.wire.device.checkin import (
    CheckinRequest,
    Offer,
    parse_request,
    reply_version,
)
from armillary.wire.device.checkin_reply import ReplyEncoder
from armillary.wire.device.update_reason import FAILED_BEFORE
from armillary.wire.device.update_status import DIRECTIVE, OS, UpdateStatus

# The challenge in a reply lives for this many intervals and a bit: the next check-in may be late.
CHALLENGE_INTERVALS: Final = 3
CHALLENGE_SLACK_S: Final = 600
# A device that is let in for updates only comes at least this often: what heals it may be published meanwhile.
HELD_INTERVAL_S: Final = 3600
# One check-in of a device at a time; the second waits this long.
BUSY_RETRY_S: Final = 1


class Accepted(NamedTuple):
    """A check-in that is decided and not yet recorded.

    Nobody may see ``reply``, which is encoded, before the record is durable. ``details`` is what is kept of the boot
    afterwards, None for an update-only verdict; ``lineage`` is what the next proof has to continue.
    """

    state: DeviceState
    write: CheckInWrite
    reply: bytes
    installed: str
    installed_digest: bytes
    details: BootDetails | None
    lineage: Lineage


class Verifier:
    """Decides about check-ins.

    ``hub`` is the host and port of the hub as devices are given them; with ``has_siblings`` other processes serve the
    same devices.
    """

    def __init__(
        self,
        context: Context,
        authority: Authority,
        releases: Releases,
        policies: AttestationPolicies,
        offers: Offers,
        director: Director,
        states: DeviceStates,
        *,
        hub: tuple[str, int],
        has_siblings: bool = False,
    ) -> None:
        settings = context.settings
        self._context = context
        self._authority = authority
        self._releases = releases
        self._policies = policies
        self._offers = offers
        self._director = director
        self._states = states
        self._memory = AppraisalMemory()
        self._firmware_recorded = NumberSet()  # devices whose firmware was recorded since this process began
        self._replies = ReplyEncoder()
        self._rates = DeviceRates(settings.check_in_interval_s)
        self._service_name = settings.public_host
        self._interval_s = settings.check_in_interval_s
        self._jitter = settings.check_in_jitter
        self._lifetime_s = settings.certificate_lifetime_s
        self._random = Random(os.urandom(16))  # noqa: S311 - spreads load; secrets come from os.urandom
        self._hub = hub
        self._has_siblings = has_siblings

    def challenge(self, peer: Peer, *, now: int) -> bytes:
        """An encoded challenge message for a device; DeviceFault if it is not admitted."""
        self._states.admitted(peer.device_id)
        return encode_challenge(Challenge(self._mint(peer, now), now))

    def check_in(self, peer: Peer, body: bytes, *, now: int) -> Accepted:
        """Decide about a check-in, which its device is charged for whatever comes of it.

        Raises:
            WireError: the request is malformed.
            DeviceFault: it earns no certificate.
            RateLimitedError: another check-in of this device is being recorded, or it comes too often.
        """
        state = self._states.admitted(peer.device_id)
        if state.busy:
            raise RateLimitedError("a check-in of this device is being recorded", retry_after_s=BUSY_RETRY_S)
        state.spent.check_rate(now)
        self._rates.charge_check_in(state.number, now)
        request = parse_request(body)
        self._rates.check_outcomes(state.number, now, len(request.outcomes))
        try:
            appraisal = self._appraise(state, peer, request, now)
            if (appraisal.verdict != attest.ATTESTED or self._has_siblings) and self._is_behind(state, appraisal):
                appraisal = self._appraise(state, peer, request, now)
            if appraisal.verdict != attest.ATTESTED and self._is_set_back(state, peer, request, appraisal):
                state.lineage = Lineage(state.lineage.newest, begins=True)
                appraisal = self._appraise(state, peer, request, now)
        except ChallengeError:
            self._check_is_ours(request, peer)
            raise  # ours and this peer's, so merely too old
        if appraisal.challenge_id.id in state.spent:
            raise ReplayedProofError("the challenge was used before")
        return self._accept(state, peer, request, appraisal, now)

    def _appraise(self, state: DeviceState, peer: Peer, request: CheckinRequest, now: int) -> attest.Appraisal:
        return attest.appraise(
            request,
            enrolment=state.enrolment,
            reference=self._releases.reference,
            peer_key=peer.spki,
            challenge_key=self._authority.challenge_key,
            now=now,
            service_name=self._service_name,
            memory=self._memory,
            lineage=state.lineage,
            policy=None if state.catalog_id is None else self._policies.book.get(state.catalog_id),
            started=self._policies.started,
        )

    def _is_behind(self, state: DeviceState, appraisal: attest.Appraisal) -> bool:
        """Whether another worker has recorded what this one does not know: a device may seem forked because of it.

        With siblings the records are read when a device answers another challenge than its newest reply known here had.
        """
        elsewhere = self._has_siblings and appraisal.challenge_id.id != state.lineage.newest
        return (elsewhere or bool(attest.fork_found(appraisal.steps))) and self._states.refresh(state)

    def _is_set_back(
        self, state: DeviceState, peer: Peer, request: CheckinRequest, appraisal: attest.Appraisal
    ) -> bool:
        """Whether a lineage breaks because the records were set back: the device has a reply that is not in them.

        A copy cannot make it look like that: what its replies handed out is on record, and what is too old to be on
        record ended before the last recorded check-in.
        """
        if state.lineage.held_at is not None or not attest.lineage_broken(appraisal.steps):
            return False
        value = request.lineage or appraisal.evidence.challenge
        kept = kept_challenge(self._authority.challenge_key, value, peer_key=peer.spki)
        if kept is None:
            return False
        serial = serial_text(int.from_bytes(kept.id, "big"))
        return self._context.records.read(
            lambda c: check_in_rows.is_beyond(c, state.number, serial=serial, expires_at=kept.expires_at)
        )

    def _check_is_ours(self, request: CheckinRequest, peer: Peer) -> None:
        """Raise ReplayedProofError if a refused challenge was never made for this peer, whatever its age."""
        challenge = parse_evidence(request.evidence).claims.challenge
        try:
            open_challenge(self._authority.challenge_key, challenge, now=0, peer_key=peer.spki)
        except ChallengeError as error:
            raise ReplayedProofError(error.message) from error

    def begin(self, accepted: Accepted) -> None:
        """Mark a check-in as being recorded; its challenge is spent whatever comes of it."""
        accepted.state.busy = True
        write = accepted.write
        accepted.state.spent.add(write.challenge_id, write.challenge_expires_at, write.at)
        self._rates.took(
            write.device_number,
            write.at,
            attested=write.verdict == attest.ATTESTED,
            reports=len(write.error_reports),
            outcomes=len(write.outcomes),
        )

    def recorded(self, accepted: Accepted) -> None:
        """The record is durable: keep what it says."""
        state = accepted.state
        state.busy = state.is_asked = False
        state.installed = accepted.installed
        state.installed_digest = accepted.installed_digest
        state.lineage = accepted.lineage
        state.update_status = accepted.write.update_status or state.update_status
        if accepted.details is not None:
            state.booted(accepted.write.boot_count, accepted.details)

    def failed(self, accepted: Accepted) -> None:
        """The record was not kept; the device asks for a new challenge and tries again."""
        accepted.state.busy = False
        accepted.state.firmware_values = b""
        self._firmware_recorded.discard(accepted.state.number)
        accepted.state.stale = True  # another worker may have recorded what this one does not know

    def _accept(
        self, state: DeviceState, peer: Peer, request: CheckinRequest, appraisal: attest.Appraisal, now: int
    ) -> Accepted:
        if state.catalog_id is None:
            raise UnclaimedDeviceError(f"device {state.device_id[:16]}... belongs to no catalog")
        evidence = appraisal.evidence
        terms = terms_for(state.earns(appraisal.verdict), state.trust_tier, now=now, lifetime_s=self._lifetime_s)
        issuer = state.last.issuer
        if issuer is None or issuer.replaced or issuer.not_after <= now:
            issuer = state.last.issuer = self._authority.catalogs.issuer(state.catalog_id)
        serial = new_serial()
        handed = serial.to_bytes(ID_BYTES, "big")  # the reply's challenge has the certificate's random part
        leaf = issuer.template.issue(
            evidence.certificate_key,
            state.device_id,
            terms.purpose,
            terms.tier,
            serial,
            terms.not_before,
            terms.not_after,
        )
        wanted, offer = self._offer(state, request, appraisal, now)
        sent, directive, made = self._directed(state, state.catalog_id, request, offer, now)
        is_sent = sent is not None or directive is not None
        interval_s = state.last.interval_s
        if terms.purpose != "client":
            interval_s = min(interval_s, HELD_INTERVAL_S)
        installed, installed_digest = self._installed(state, request)
        attested = appraisal.verdict == attest.ATTESTED
        details = self._details(state, appraisal) if attested else None
        lineage, held = self._lineage(state, peer, request, appraisal, handed, now)
        firmware = None
        if request.firmware is not None and request.firmware.pcr_values != state.firmware_values:
            firmware = self._firmware(state, request.firmware, appraisal)
        kept = request.error_reports and request.error_reports[: self._rates.reports_left(state.number, now)]
        reply = self._replies.encode(
            verdict=appraisal.verdict,
            steps=appraisal.steps,
            leaf=leaf,
            authorities=issuer.chain,
            purpose=terms.purpose,
            catalog_id=state.catalog_id,
            offer=sent,
            next_check_in_s=self._spread(interval_s),
            challenge=self._mint(peer, now, handed, interval_s),
            server_time=now,
            hub=self._hub,
            version=reply_version(request.protocol_version),
            directive=directive,
            dumps=state.last.dumps,
            log_request=state.asked_log(now),
        )
        write = CheckInWrite(
            device_number=state.number,
            at=now,
            verdict=appraisal.verdict,
            steps=appraisal.steps,
            boot_count=evidence.boot_count if attested else state.last_boot_count,
            os_version=evidence.os_version,
            certificate_serial=serial_text(serial),
            certificate_not_after=terms.not_after,
            purpose=terms.purpose,
            offer_id=offer.offer_id if offer is not None and is_sent else None,
            deployment_id=None if wanted is None else wanted.offer.deployment_id,
            challenge_id=appraisal.challenge_id.id,
            challenge_expires_at=appraisal.challenge_id.expires_at,
            installed=None if installed == state.installed else installed,
            details=None if details == state.details else details,
            outcomes=() if not request.outcomes else _outcomes(request),
            error_reports=kept,
            suppressed=request.error_reports[len(kept) :],
            lineage=lineage_text(lineage),
            held=held,
            after=serial_of(state.lineage),
            firmware=firmware,
            directive_version=made,
            update_status=_said(state, request, now),
        )
        return Accepted(state, write, reply, installed, installed_digest, details, lineage)

    def _offer(
        self, state: DeviceState, request: CheckinRequest, appraisal: attest.Appraisal, now: int
    ) -> tuple[Wanted | None, Offer | None]:
        """What the device should have, and the offer if it lacks something of it.

        Computed again only when the book, the device's report or its boot has changed, or an offer's lease is renewed.
        """
        book, last = self._offers.book, state.last
        is_same = last.book is book and last.report_digest == request.report_digest and last.events is appraisal.events
        if not is_same or now >= last.renewed_at:
            status = request.update_status
            system, trusts, waits = None, None, False
            if status is not None and OS in status.abilities:
                system = self._offers.wanted_os(state.group_id, state.number, state.chip)
                system = None if system is None else system.for_boot(appraisal.events)
                if status.trusted_keys:
                    trusts, waits = self._trusts(last, status, book.trust)
            last.wanted = self._offers.granted(state.group_id, state.number, state.chip, request.installed)
            lease_s = self._offers.lease_s(state.group_id, state.number, state.chip, last.wanted, system)
            until, renewed_at = leased(lease_s, now) if lease_s else (None, NEVER)
            last.offer = self._offers.offer(
                state.group_id,
                last.wanted,
                system,
                installed=request.installed,
                events=appraisal.events,
                lease_until=until,
                trusts=trusts,
            )
            last.renewed_at = now if waits else NEVER if last.offer is None else renewed_at
            told = self._offers.schedule(state.group_id)
            last.interval_s, last.dumps = told.interval_s or self._interval_s, told.dumps
            last.book, last.report_digest, last.events = book, request.report_digest, appraisal.events
        offer = last.offer
        if offer is not None and request.update_status is None and not_yet(offer.when, now=now, heard_at=now):
            offer = None  # a device of before knows of no windows: it is offered nothing outside of them
        return last.wanted, offer

    def _trusts(self, last: LastAnswer, status: UpdateStatus, book: TrustBook) -> tuple[Trusts, bool]:
        """What a device trusts, without the stores that it is not offered; and whether one of these waits to be signed.

        Where one waits, the next check-in looks again.
        """
        if status.reason == FAILED_BEFORE and last.offer is not None and last.offer.is_trust_alone:
            last.given_up = last.offer.offer_id
        failed = frozenset() if last.given_up is None else frozenset({last.given_up})
        trusts = Trusts(status.trusted_keys, status.trusted_roots, failed)
        if DIRECTIVE not in status.abilities or not book.moves or book.has_newest(trusts):
            return trusts, False
        unnamed = self._director.unnamed(book.images)
        return trusts._replace(left_out=failed | unnamed), bool(unnamed)

    def _directed(
        self, state: DeviceState, catalog_id: UUID, request: CheckinRequest, offer: Offer | None, now: int
    ) -> tuple[Offer | None, bytes | None, int | None]:
        """How the reply says what is offered: the plain offer, the directive, and the directive's version if new.

        A device that takes directives is sent nothing else: without one it stays as it is, and asks again.
        """
        status = request.update_status
        if status is None or offer is None or DIRECTIVE not in status.abilities:
            return offer, None, None
        known = state.last.directive
        issued = state.last.directive = self._director.issue(
            known,
            offer,
            device_number=state.number,
            device_id=state.device_id,
            catalog_id=catalog_id,
            hardware=state.chip,
            reported=status.directive_version,
            now=now,
        )
        if issued is None:
            return None, None, None
        return None, issued.data, None if issued is known else issued.version

    def _installed(self, state: DeviceState, request: CheckinRequest) -> tuple[str, bytes]:
        """The stored form of the installed images; computed again only when the report has changed."""
        if state.installed_digest == request.report_digest and state.installed_digest:
            return state.installed, state.installed_digest
        return installed_text(request.installed), request.report_digest

    def _lineage(
        self,
        state: DeviceState,
        peer: Peer,
        request: CheckinRequest,
        appraisal: attest.Appraisal,
        handed: bytes,
        now: int,
    ) -> tuple[Lineage, str]:
        """The lineage after this check-in, and why the device is held from now on, if it is."""
        shown = attest.shown_id(request, self._authority.challenge_key, peer.spki)
        lineage = continued(state.lineage, appraisal.challenge_id.id, shown, handed)
        if appraisal.verdict == attest.ATTESTED or lineage.held_at is not None:
            return lineage, ""
        reason = attest.fork_found(appraisal.steps)
        return (lineage._replace(held_at=now), reason) if reason else (lineage, "")

    def _firmware(
        self, state: DeviceState, firmware: FirmwareLog, appraisal: attest.Appraisal
    ) -> tuple[FirmwareValue, ...] | None:
        """What the machine's firmware measured, for the records; None where they have it or no TPM vouches for it.

        For a device that was read from the records again its boot is compared: firmware does not change within one.
        """
        if not attest.quoted(appraisal.steps):
            return None
        is_read_again, state.firmware_values = not state.firmware_values, firmware.pcr_values
        same_boot = state.details.endorsement == appraisal.endorsement_digest
        if is_read_again and same_boot and state.number in self._firmware_recorded:
            return None
        self._firmware_recorded.add(state.number)
        try:
            return measured(firmware)
        except WireError:
            return None

    def _details(self, state: DeviceState, appraisal: attest.Appraisal) -> BootDetails:
        """What is stored once per boot; the security versions never fall."""
        evidence = appraisal.evidence
        known = state.details
        same_boot = known.endorsement == appraisal.endorsement_digest and known.sandbox == evidence.sandbox
        if same_boot and evidence.enforcement == state.enforcement:
            return known
        state.enforcement = evidence.enforcement
        text = enforcement_text(evidence.enforcement)
        if same_boot:
            return BootDetails(known.sandbox, text, known.endorsement, known.security_versions)
        highest = dict(state.enrolment.minimum_security_versions)
        for kind, version in appraisal.security_versions.items():
            highest[kind] = max(version, highest.get(kind, 0))
        return BootDetails(
            evidence.sandbox,
            text,
            appraisal.endorsement_digest,
            json.dumps({str(kind): highest[kind] for kind in sorted(highest)}, separators=(",", ":")),
        )

    def _mint(self, peer: Peer, now: int, handed: bytes | None = None, interval_s: int = 0) -> bytes:
        """A challenge for a device that asks for one, or with ``handed`` the one of its reply."""
        kept_s = min(MAX_LIFETIME_S, CHALLENGE_INTERVALS * interval_s + CHALLENGE_SLACK_S)
        return mint(
            self._authority.challenge_key,
            now=now,
            random=handed or os.urandom(RANDOM_BYTES),
            peer_key=peer.spki,
            lifetime_s=LIFETIME_S if handed is None else kept_s,
            in_reply=handed is not None,
        )

    def _spread(self, interval_s: int) -> int:
        """Seconds until the next check-in, varied so that devices do not come together."""
        spread = 1 + self._jitter * (2 * self._random.random() - 1)
        return max(1, round(interval_s * spread))


def _said(state: DeviceState, request: CheckinRequest, now: int) -> str | None:
    """The stored form of what the device says about its update; None where it says what it said last."""
    status = request.update_status
    if status is None or state.installed_digest == request.report_digest:
        return None
    trusted = {name: getattr(status, name).hex() for name in ("trusted_keys", "trusted_roots")}
    said = DeviceUpdateStatus(**{**asdict(status), **trusted}, since=now)
    before = None if state.update_status is None else update_status_from(state.update_status)
    if before is not None and replace(said, since=before.since) == before:
        return None
    return update_status_text(said)


def _outcomes(request: CheckinRequest) -> tuple[OutcomeWrite, ...]:
    """Reported outcomes; an offer's id is its deployment's."""
    return tuple(
        OutcomeWrite(one.offer_id, one.offer_id, one.image_id, one.component_id, one.outcome, one.reason, one.at)
        for one in request.outcomes
    )
