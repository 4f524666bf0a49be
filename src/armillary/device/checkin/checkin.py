# SPDX-License-Identifier: Apache-2.0
"""One check-in: builds the proof, sends it, and applies what the reply says about time, reports and certificates.

Images that the reply offers are installed by ``running.py``.

The challenge of a reply is kept in flash (``device/lineage``) before anything of the reply is acted on. Answering it
with the next check-in shows that this is the machine that got the reply; a check-in that answers another challenge
shows it beside its report. A copy of this device cannot do both for long (``attest/lineage.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from armillary.attest.steps import STEPS
from armillary.device.boot.sandbox_told import report_weakness
from armillary.device.boot.startup import Startup, confirm_boot
from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.checkin.endpoint import DeviceEndpoint
from armillary.device.checkin.proof import Proof, build_proof, check_certificate, without_crashes
from armillary.device.checkin.update_wait import UpdateReason, UpdateWait
from armillary.device.install.installer import Installer
from armillary.device.install.trust_stores import keep_confirmed, trusted
from armillary.device.state.clock import DeviceClock
from armillary.device.state.configuration import DeviceConfiguration
from armillary.device.state.crash_dumps import DumpQueue
from armillary.device.state.hub_address import HubAddress, load_hub, store_hub
from armillary.device.state.log_answers import LogAnswers
from armillary.device.state.reports import FAULT, Incident, ReportQueue
from armillary.engines.flash.port import Flash, replace_region
from armillary.engines.sandbox.port import SandboxReport
from armillary.errors import (
    ChallengeError,
    DataFolderError,
    DeviceFault,
    RootOfTrustError,
    ServiceUnreachableError,
)
from armillary.wire.device.checkin import MAX_LINEAGE_BYTES, MAX_OUTCOMES, CheckinReply, InstalledImage, UpdateOutcome
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.update_reason import ON_TRIAL
from armillary.wire.device.update_status import DELTA, DIRECTIVE, LOG, OS, UpdateStatus

_LINEAGE = "device/lineage"
# Check-ins in which it is tried to read it, before it counts as lost.
_LINEAGE_TRIES = 3
_OTHER_VERSION = "wire.protocol-version"  # what a service of before says to a version that it does not know


@dataclass(slots=True, kw_only=True)
class CheckIns:
    """The check-ins of one boot.

    Attributes:
        configuration: As in force for this boot (``device/install/trust_stores.py``).
        root_of_trust: Kind of its root of trust.
        flash: Keeps the minimum security versions and the lineage.
        wait: What the device says about its update.
        challenge: For the next check-in, from the last reply; None asks for one.
        hub: Host and port of the hub, from the last reply, also of an earlier boot.
        directive_version: Of the last directive that was taken; None for a device that takes none.
        dumps: Crash dumps that wait; None for a device that makes none.
        log: Answers requests for the device's log; None for a device that answers none.
    """

    configuration: DeviceConfiguration
    root_of_trust: str
    startup: Startup
    sandbox: SandboxReport
    endpoint: DeviceEndpoint
    flash: Flash
    clock: DeviceClock
    reports: ReportQueue
    installer: Installer
    daa: DeviceAuthentication
    wait: UpdateWait
    challenge: bytes | None = None
    hub: HubAddress | None = None
    directive_version: Callable[[], int] | None = None
    dumps: DumpQueue | None = None
    log: LogAnswers | None = None
    _tells_status: bool = True  # until a service of before version 5 refuses it
    _tells_crashes: bool = True  # until a service of before version 6 refuses it
    _takes_consent: bool = True  # until a service of before version 7 refuses it
    _tells_of_log: bool = True  # until a service of before version 8 refuses it
    _unread: int = 0  # check-ins one after the other in which the lineage could not be read
    _root_fails: bool = False  # reported, and no check-in has come to its end since

    def __post_init__(self) -> None:
        self.hub = load_hub(self.flash)

    def hear_sandbox(self, report: SandboxReport) -> None:
        """Prove what another self-test has seen, from the next check-in on."""
        self.sandbox = report
        report_weakness(report, self.reports)

    async def check_in(self, *, states: Mapping[UUID, str]) -> CheckinReply:
        """Check in once; a stale challenge is replaced once.

        ``states`` is image id -> ``running``, ``trial``, ``stopped`` or ``failed``; ``stopped`` when missing.

        Raises:
            DataFolderError: what the last check-in brought cannot be read now.
            DeviceFault: the service refuses this device or this proof.
            RateLimitedError: come back later.
            RootOfTrustError: it fails; the next check-in that succeeds reports it, also that of a later boot.
            ServiceUnreachableError: no usable answer.
            WireError: the answer is not of the protocol.
        """
        try:
            reply = await self._check_in(states)
        except RootOfTrustError as error:
            self._keep_failure(error)
            raise
        self._root_fails = False
        return reply

    def _keep_failure(self, error: RootOfTrustError) -> None:
        """Queue a report, durably: one, however often it is tried, until the root of trust works again."""
        if self._root_fails:
            return
        self._root_fails = True
        description = f"the root of trust failed while the device ran: {error.message}"
        self.reports.add(Incident(event_type=FAULT, event_class="OS", description=description))
        with contextlib.suppress(DataFolderError):  # a full disk: the device's loop tries again
            self.reports.flush()

    async def _check_in(self, states: Mapping[UUID, str]) -> CheckinReply:
        error_reports = self.reports.seal()
        outcomes = self.installer.record.outcomes[:MAX_OUTCOMES]
        is_fresh = False
        while True:
            try:
                proof, reply = await self._exchange(states, outcomes, error_reports)
                break
            except DeviceFault as error:
                if not self._speaks_lower(error, error_reports):
                    if error.code != ChallengeError.code or is_fresh:
                        raise
                    is_fresh = True
                self.challenge = None
        replace_region(self.flash, _LINEAGE, reply.challenge)
        # From here on the service has the reports and outcomes, whatever else the reply holds.
        self.clock.set_from_service(reply.server_time)
        self.reports.acknowledge(proof.request.error_reports)
        self.installer.acknowledge(proof.request.outcomes)
        if self.dumps is not None:
            self.dumps.hear(reply.dumps, reply.catalog_id)
        if self.log is not None:
            self.log.hear(reply.log_request, reply.catalog_id)
        self._take_certificate(reply, proof)
        if reply.verdict == "attested":
            confirm_boot(self.flash, self.startup, self.installer)
        keep_confirmed(self.flash, self.installer.record)
        self.challenge = reply.challenge
        self.hub = (reply.hub_host, reply.hub_port)
        store_hub(self.flash, self.hub)
        return reply

    def _shown_lineage(self) -> bytes:
        """What the service gave last. DataFolderError where the medium does not give it, unless it goes on like that.

        A device that shows none is held for a clone, so one failed read only delays a check-in.
        """
        try:
            found = self.flash.read(_LINEAGE)
        except DataFolderError:
            self._unread += 1
            if self._unread < _LINEAGE_TRIES:
                raise
            found = None
        else:
            self._unread = 0
        return (found or b"")[:MAX_LINEAGE_BYTES]

    def _speaks_lower(self, error: DeviceFault, error_reports: tuple[ErrorReport, ...]) -> bool:
        """Leave out what the newest version of the protocol has, where the service refused that version."""
        if error.code != _OTHER_VERSION:
            return False
        if self._sends_log:
            self._tells_of_log = False
        elif self._takes_consent and self._tells_status and self.dumps is not None:
            self._takes_consent = False
        elif self._tells_crashes and any(one.crash for one in error_reports):
            self._tells_crashes = False
        elif self._tells_status:
            self._tells_status = False
        else:
            return False
        return True

    @property
    def _sends_log(self) -> bool:
        return self._tells_of_log and self._takes_consent and self._tells_status and self.log is not None

    async def _exchange(
        self,
        states: Mapping[UUID, str],
        outcomes: tuple[UpdateOutcome, ...],
        error_reports: tuple[ErrorReport, ...],
    ) -> tuple[Proof, CheckinReply]:
        challenge, self.challenge = self.challenge, None  # used once, whatever comes of it
        lineage = None
        if challenge is None:
            lineage = self._shown_lineage()
            message = await self.endpoint.challenge()
            self.clock.set_from_service(message.server_time)
            if not self.clock.signed:
                raise ServiceUnreachableError(
                    f"the service gave a time outside its own certificate's days: {message.server_time}",
                    remedy="Set the service's clock, or renew its server certificate.",
                )
            challenge = message.challenge
        proof = build_proof(
            challenge=challenge,
            session=self.startup.session,
            event_log=self.startup.event_log,
            configuration=self.configuration,
            root_of_trust=self.root_of_trust,
            sandbox=self.sandbox,
            installed=self._installed(states),
            outcomes=outcomes,
            error_reports=error_reports if self._tells_crashes else without_crashes(error_reports),
            lineage=lineage,
            update_status=self._update_status() if self._tells_status else None,
            takes_consent=self._takes_consent and self._tells_status and self.dumps is not None,
            sends_log=self._sends_log,
        )
        return proof, await self.endpoint.check_in(proof.request)

    def _update_status(self) -> UpdateStatus:
        said, record = self.wait.reason, self.installer.record
        if record.system_on_trial:
            said = UpdateReason(ON_TRIAL)
        elif record.trial is None and said.code == ON_TRIAL:  # said of an offer during a trial that is over
            said = UpdateReason()
        directed = self.directive_version
        keys, roots = trusted(self.configuration)
        some = {DIRECTIVE: directed is not None, LOG: self._sends_log}
        return UpdateStatus(
            abilities=tuple(sorted({DELTA, OS, *(name for name, is_there in some.items() if is_there)})),
            directive_version=0 if directed is None else directed(),
            reason=said.code,
            detail=said.detail,
            until=said.until,
            trusted_keys=keys,
            trusted_roots=roots,
        )

    def _installed(self, states: Mapping[UUID, str]) -> tuple[InstalledImage, ...]:
        record = self.installer.record
        previous = record.active if record.trial is None else record.trial.previous
        return tuple(
            InstalledImage(
                component_id=image.component_id,
                image_id=image.image_id,
                image_type=image.image_type,
                name=image.name,
                state="trial" if image not in previous else states.get(image.image_id, "stopped"),
            )
            for image in record.applications
        )

    def _take_certificate(self, reply: CheckinReply, proof: Proof) -> None:
        """Store the client certificate for applications; without a good verdict withdraw the old one."""
        if reply.verdict != "attested" or reply.purpose != "client":
            self.daa.withdraw()
            return
        check_certificate(reply, proof)
        try:
            self.daa.store(
                reply.certificate_chain,
                proof.key,
                service_root=self.configuration.service_root.encode(),
                log_head=self.startup.session.log_head,
            )
        except OSError as error:
            raise DataFolderError(
                f"the certificate for applications cannot be stored: {error.strerror or error}",
                remedy="Check the disk's free space.",
            ) from error


def describe_steps(reply: CheckinReply) -> list[dict[str, object]]:
    """The appraisal's steps for people and scripts.

    A reply says what a step prevents only where it failed; for the others it is looked up here, where this
    version knows the step under the same number and name.
    """
    known = {(number, name): prevents for number, name, prevents in STEPS}
    return [
        {
            "number": step.number,
            "name": step.name,
            "result": step.result,
            "detail": step.detail,
            "prevents": step.prevents or known.get((step.number, step.name), ""),
        }
        for step in reply.steps
    ]
