# SPDX-License-Identifier: Apache-2.0
"""Where the security service is put together: the only place that builds its parts.

``SecurityService.open`` needs a disk and nothing else; ``start`` opens the device endpoint (here or in device workers)
and the loops. A first start makes keys, OS releases and one administrator token, and declares the data folder
complete last: interrupted, it is begun again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from armillary.engines.records.folder import DataFolder
from armillary.engines.records.store import Records
from armillary.identity.manufacturing import ManufacturingState
from armillary.service.authority.authority import Authority
from armillary.service.authority.revocation_lists import RevocationLists
from armillary.service.authority.server_certificate import ServerFiles
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.endpoint.endpoint import DeviceEndpoint, server_context
from armillary.service.factory.enrolments import Enrolments
from armillary.service.factory.factory import Factory
from armillary.service.factory.reply import FactoryReply
from armillary.service.factory.tpm_enrolment import TpmAnswer, TpmEnrolments
from armillary.service.hub_access.clients import HubClients
from armillary.service.hub_access.directory import HubDirectory
from armillary.service.hub_access.enrolments import HubEnrolments
from armillary.service.hub_access.identities import HubIdentities
from armillary.service.hub_access.peer import HubPeers
from armillary.service.hub_access.service_keys import HubServiceKeys
from armillary.service.hub_access.updates import HubUpdates
from armillary.service.loops import ServiceLoops
from armillary.service.registry.audit import AuditLog
from armillary.service.registry.device_names import DeviceNames
from armillary.service.registry.registry import Registry
from armillary.service.registry.tokens import Tokens
from armillary.service.registry.transfers import Transfers
from armillary.service.updates.deployments import Deployments
from armillary.service.updates.images import Images
from armillary.service.updates.offers import Offers
from armillary.service.updates.planner import Planner
from armillary.service.updates.rollouts import Rollouts
from armillary.service.verifier.attestation_policy import AttestationPolicies
from armillary.service.verifier.device_states import DeviceStates
from armillary.service.verifier.firmware_references import FirmwareReferences
from armillary.service.verifier.release_corim import ReleaseCorims
from armillary.service.verifier.releases import Releases
from armillary.service.verifier.verifier import Verifier
from armillary.service.watch.error_reports import ErrorReports
from armillary.service.watch.heartbeat import VerifierWatch
from armillary.service.watch.watch import Watch
from armillary.settings import Settings
from armillary.wire.hub.credentials import HubCredentials, HubPeer, is_attested_id

if TYPE_CHECKING:
    from armillary.service.workers.device_workers import DeviceWorkers

FIRST_TOKEN_NAME = "first-start"  # noqa: S105 - the token's name

_log = structlog.get_logger("armillary.service")


class SecurityService:
    """The facade. Operator methods of its parts are synchronous and thread-safe.

    Attributes:
        first_token: Secret of the administrator token made by a first start, None otherwise; print it once.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings
        self.notices = Notices()
        self.chips = Chips.load()
        blobs = Blobs(context.folder.blobs)
        self.authority = Authority(context)
        self.revocation_lists = RevocationLists(context, self.authority, self.notices)
        self.releases = Releases(context, self.authority, blobs, self.chips)
        self.policies = AttestationPolicies(context, self.chips, self.releases)
        self.firmware = FirmwareReferences(context, self.chips, self.policies)
        self.corims = ReleaseCorims(context, self.authority, self.releases, self.chips)
        self.registry = Registry(context, self.authority, self.notices)
        self.images = Images(context, self.authority, blobs, self.chips)
        self.deployments = Deployments(context, self.chips, self.notices)
        self.rollouts = Rollouts(context, self.deployments, self.notices)
        self.planner = Planner(context, self.deployments, self.notices)
        self.watch = Watch(context)
        self.audit = AuditLog(context)
        self.tokens = Tokens(context)
        self.error_reports = ErrorReports(context)
        self.offers = Offers(context, self.chips)
        self.first_token: str | None = None
        self.device_port = 0
        self._blobs = blobs
        self._factory = Factory(context, self.authority, self.releases, self.chips)
        self.tpms = TpmEnrolments(context, self.authority, self._factory, self.chips)
        self.transfers = Transfers(context, self.registry.devices, self.notices)
        self.enrolments = Enrolments(context, self._factory, self.tpms, self.chips, self.notices)
        self._hub_peers = HubPeers(context, self.authority)
        self.hub_updates = HubUpdates(context, self.registry.devices)
        self.hub_identities = HubIdentities(context, self.authority)
        self.notices.on_catalog_deleted.append(self.hub_identities.trust_changed)
        self.device_names = DeviceNames(context, self.registry.devices, self.hub_identities)
        self.hub_directory = HubDirectory(context, self.device_names)
        self.hub_enrolments = HubEnrolments(context, self.hub_identities)
        self.hub_service_keys = HubServiceKeys(context, self.hub_identities)
        self._hub_clients = HubClients(context, self._hub_peers, self.hub_identities)
        self._states = DeviceStates(context.records, context.now)
        self.verifier: Verifier | None = None
        self._hub_address = (self.settings.public_host, self.settings.hub_port)
        self._endpoint: DeviceEndpoint | None = None
        self._workers: DeviceWorkers | None = None
        self._use_certificate: Callable[[ServerFiles], object] = lambda _: None
        self._loops: ServiceLoops | None = None
        self._pulse: VerifierWatch | None = None
        self.notices.on_device.append(self._states.mark_stale)
        self.notices.on_groups.append(self.offers.refresh)

    @classmethod
    def open(
        cls, settings: Settings, *, clock: Callable[[], float] = time.time, announces_token: bool = False
    ) -> SecurityService:
        """Open the data folder (making it the first time) and everything in it. No sockets yet.

        Args:
            settings: This process's settings.
            clock: Unix seconds.
            announces_token: The caller shows ``first_token`` to a person and then calls :meth:`token_announced`.
                Until then a first start counts as cut short: a token that nobody saw must not be the only one.

        Raises:
            DataFolderInUseError: another service holds the folder.
            DataFolderError: it cannot be used; the remedy says what to do.
        """
        with contextlib.ExitStack() as undo:
            folder = undo.enter_context(DataFolder.open(settings.data))
            records = Records.open(folder.database, fresh=folder.fresh)
            undo.callback(records.close)
            service = cls(Context(settings=settings, folder=folder, records=records, clock=clock))
            if folder.fresh:
                service._make()
            service._load()
            if not announces_token:
                service.token_announced()
            undo.pop_all()
        return service

    def token_announced(self) -> None:
        """The first token was shown: the first start is complete. Does nothing on later starts."""
        if self.context.folder.fresh:
            self.context.folder.finish()

    def _make(self) -> None:
        self.authority.create()
        self.first_token = self.tokens.create(FIRST_TOKEN_NAME, "Administrator", actor="first start").secret

    def _load(self) -> None:
        self._blobs.remove_partial()
        self.authority.open(self.chips.makers)
        if self.context.folder.fresh:
            self.releases.make_first()
        self.releases.refresh()
        self.policies.refresh()
        self.offers.refresh()

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the device endpoint and start the planner and the watch.

        Raises:
            PortInUseError: another process has the device port.
            HostError: a device worker cannot start.
        """
        front = await (self._start_workers() if self.settings.device_worker_count else self._start_endpoint())
        self._pulse = VerifierWatch(self.context, lambda: front.pulse, self.watch.observe)
        self.watch.open_since = await asyncio.to_thread(self._pulse.start)
        self._loops = ServiceLoops(self.context, self.planner, self.watch, self.authority, self._use_certificate)
        self._loops.start()
        self.notices.on_news.append(self._loops.wake)
        self.notices.on_groups.append(self._loops.wake)
        _log.info("device endpoint ready", host=self.settings.host, port=self.device_port)

    async def _start_endpoint(self) -> DeviceEndpoint:
        """Serve devices in this process."""
        files = self.authority.server.files()
        self.verifier = Verifier(self.context, self.authority, self.releases, self.policies, self.offers, self._states)
        self.verifier.hub_address = self._hub_address
        self._endpoint = DeviceEndpoint(
            trust_anchors=self.authority.roots.trust_anchors,
            renew_identity=lambda chip, device_id, ends: self.authority.silicon.renew_identity(
                self.chips.get(chip).maker, device_id, ends
            ),
            records=self.context.records,
            verifier=self.verifier,
            states=self._states,
            offers=self.offers,
            blobs=self._blobs,
            notices=self.notices,
            now=self.context.now,
        )
        tls = server_context(files.certificate, files.key, self.authority.silicon.certificates())
        self.device_port = await self._endpoint.start(tls, self.settings.host, self.settings.device_port)
        self.notices.on_revoked.append(self._endpoint.disconnect)
        self.authority.silicon.on_new.append(lambda der: tls.load_verify_locations(cadata=der))
        self._use_certificate = lambda files: tls.load_cert_chain(files.certificate, files.key)
        return self._endpoint

    async def _start_workers(self) -> DeviceWorkers:
        """Serve devices in processes of their own, which are told of every change before the call that made it ends."""
        from armillary.service.workers.device_workers import DeviceWorkers  # noqa: PLC0415 - the one-process form needs none
        from armillary.wire.device.worker_message import AUTHORITIES, OFFERS, POLICIES, RELEASES  # noqa: PLC0415

        self._workers = workers = DeviceWorkers(self.context, self.notices, self.watch.observe, hub=self._hub_address)
        self.notices.on_device.append(workers.device_changed)
        self.notices.on_revoked.append(workers.disconnect)
        self.notices.on_groups.append(lambda: workers.reread(OFFERS))
        self.releases.on_change.append(lambda: workers.reread(RELEASES))
        self.policies.on_change.append(lambda: workers.reread(POLICIES))
        self.authority.issued.on_renewed.append(lambda: workers.reread(AUTHORITIES))
        self._use_certificate = lambda _: workers.reread(AUTHORITIES)
        self.device_port = await workers.start(self.settings.host, self.settings.device_port)
        return workers

    async def close(self) -> None:
        """Stop listening, finish what is being recorded, close the records and release the folder."""
        if self._pulse is not None:
            await asyncio.to_thread(self._pulse.close)
        if self._loops is not None:
            await self._loops.close()
        for front in (self._endpoint, self._workers):
            if front is not None:
                await front.close()
        await asyncio.to_thread(self.context.records.close)
        self.authority.close()
        self.context.folder.close()

    # -- for the assembly -----------------------------------------------------------------------------------------

    @property
    def hub_address(self) -> tuple[str, int]:
        """Host and port of the hub as devices are told."""
        return self._hub_address

    @hub_address.setter
    def hub_address(self, address: tuple[str, int]) -> None:
        if self._workers is not None:
            raise ValueError("the hub's address is told to device workers at their start: set it before")
        self._hub_address = address
        if self.verifier is not None:
            self.verifier.hub_address = address

    @property
    def device_endpoint_url(self) -> str:
        """Address of the device endpoint as devices are told."""
        return f"https://{self.settings.public_host}:{self.device_port or self.settings.device_port}"

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Have ``callback`` called with the device id whenever a device may not stay connected, from any thread."""
        self.notices.on_revoked.append(callback)
        self.notices.on_held.append(callback)
        self.hub_identities.on_closed.append(callback)

    def authenticate_hub_peer(self, certificate_der: bytes) -> str:
        """The device id of a client certificate that may use the hub.

        Raises:
            DeviceFault: it may not.
        """
        return self._hub_peers.authenticate(certificate_der).identity

    def owner_of(self, device_id: str) -> UUID | None:
        """The catalog of a device that attests or of a hub device; None for one that is in none.

        Raises:
            NotFoundError: there is no such device.
        """
        if is_attested_id(device_id):
            return self.registry.devices.get(device_id).catalog_id
        return self.hub_identities.get(device_id).catalog_id

    def admit_hub_client(self, credentials: HubCredentials) -> HubPeer:
        """Who a client of the hub is, one that attests or not.

        Raises:
            DeviceFault, WireError: it may not come in.
        """
        return self._hub_clients.admit(credentials)

    def factory_enrol(
        self,
        request_pem: str,
        chip: str,
        actor: str,
        *,
        trust_tier: str = "software",
        manufacturing_state: str = ManufacturingState.DEVICE_COMPLETE.value,
    ) -> FactoryReply:
        """Manufacture a device: see :class:`armillary.service.factory.factory.Factory`."""
        return self._factory.enrol(
            request_pem,
            chip,
            actor=actor,
            trust_tier=trust_tier,
            endpoint=self.device_endpoint_url,
            manufacturing_state=manufacturing_state,
        )

    def tpm_enrol(self, answer: TpmAnswer, request_pem: str, actor: str) -> FactoryReply:
        """Manufacture a device whose TPM opened its credential: see :class:`TpmEnrolments`."""
        return self.tpms.enrol(answer, request_pem, actor=actor, endpoint=self.device_endpoint_url)

    def device_workers(self) -> list[dict[str, object]]:
        """Each device worker (``service/workers/process.py``); empty where the service's own process serves devices."""
        return [] if self._workers is None else self._workers.describe()

    def health(self) -> dict[str, object]:
        """How the service is doing, for ``/healthz`` and ``armillary status``."""
        endpoint, loops = self._endpoint or self._workers, self._loops
        endpoint_ok = endpoint is not None and (self._workers is None or self._workers.is_whole)
        records_ok = self.context.records.is_readable()
        loops_ok = loops is not None and loops.healthy
        pulse = "not started" if self._pulse is None else self._pulse.state
        return {
            "ok": records_ok and endpoint_ok and loops_ok and pulse == "ok",
            "records": {
                "ok": records_ok,
                "queued": self.context.records.queued,
                "commits": self.context.records.batches,
            },
            "device_endpoint": {
                "ok": endpoint_ok,
                "workers": self.device_workers(),
                "port": self.device_port,
                "connections": 0 if endpoint is None else endpoint.connections,
                "counts": {} if endpoint is None else dict(endpoint.counts),
            },
            "verifier": {"ok": pulse == "ok", "state": pulse},
            "planner": {"ok": loops_ok, "last_run_at": None if loops is None else loops.last_run_at},
            "watch": {"ok": loops_ok, "last_run_at": None if loops is None else loops.last_run_at},
        }
