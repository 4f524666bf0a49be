# SPDX-License-Identifier: Apache-2.0
"""Where the security service is put together: the only place that builds its parts.

``SecurityService.open`` needs a disk and nothing else; ``start`` opens the device endpoint (here or in device workers)
and the loops. A first start makes keys, OS releases and one administrator token, and declares the data folder
complete last: interrupted, it is begun again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from armillary.engines.records.folder import DataFolder
from armillary.engines.records.queries.security.presence import (
    has_declared_support,
    has_device_logs,
    has_disclosure,
    has_dump_keys,
    has_open_case,
)
from armillary.engines.records.store import Records
from armillary.service.advisories.advisories import Advisories
from armillary.service.authority.authority import Authority
from armillary.service.authority.key_store import DUMP_KEYS
from armillary.service.bridge.bridge import Bridge
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context, DeviceAddress
from armillary.service.context.named_blobs import collect
from armillary.service.context.notices import Notices
from armillary.service.endpoint.device_server import ServingParts
from armillary.service.factory.enrolments import Enrolments
from armillary.service.factory.factory import Factory
from armillary.service.factory.flashed_systems import FlashedSystems
from armillary.service.factory.tpm_enrolment import TpmEnrolments
from armillary.service.hub_access.hub_access import HubAccess
from armillary.service.loops import ServiceLoops
from armillary.service.notifications.notifications import Notifications
from armillary.service.people.passkeys import Passkeys
from armillary.service.people.sessions import Sessions
from armillary.service.registry.audit import AuditLog
from armillary.service.registry.registry import Registry
from armillary.service.registry.tokens import Tokens
from armillary.service.repository.loading import load_tuf
from armillary.service.repository.repository import Repository
from armillary.service.response.response import Response
from armillary.service.search import Search
from armillary.service.serving import DeviceServing
from armillary.service.updates.updates import Updates
from armillary.service.verifier.attestation import Attestation
from armillary.service.verifier.releases import Releases
from armillary.service.watch.watch import Watch
from armillary.settings import Settings

if TYPE_CHECKING:
    from armillary.service.cases.casework import Casework
    from armillary.service.cellular.cellular import CellularStatuses
    from armillary.service.crash_dumps.crash_dumps import CrashDumps
    from armillary.service.device_logs.device_logs import DeviceLogs
    from armillary.service.disclosure.disclosure import Disclosure
    from armillary.service.dossier.dossiers import Dossiers
    from armillary.service.people.people import People
    from armillary.service.people.provider import SignInProvider
    from armillary.service.people.table_views import TableViews
    from armillary.service.repository.ceremony import Ceremony
    from armillary.service.transparency.transparency import Transparency
    from armillary.service.watch.support_ends import SupportEnds

# Port of https when an address has none.
HTTPS_PORT = 443
# Crash dumps and logs of devices whose time has come are deleted within this time.
DUMPS_LOOK_S = 3600

FIRST_TOKEN_NAME = "first-start"  # noqa: S105 - the token's name

_log = structlog.get_logger("armillary.service")


class SecurityService:
    """The service as the API, the console and the command line hold it. Operations are synchronous and thread-safe.

    ``first_token`` is the secret of the administrator token that a first start makes, None otherwise; print it once.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.notices = notices = Notices()
        self.chips = chips = Chips.load()
        blobs = self._blobs = Blobs(context.folder.blobs)
        self.device_address = DeviceAddress(context.settings)
        self.hub_address = (context.settings.public_host, context.settings.hub_port)
        self.authority = authority = Authority(context, notices)
        self.registry = Registry(context, authority, notices)
        self.releases = Releases(context, authority, blobs, chips)
        self.attestation = Attestation(context, authority, self.releases, chips, blobs)
        self.repository = Repository(context, authority.keys, blobs)
        self.releases.on_change.append(notices.artifacts_changed)
        notices.on_artifacts.append(self.repository.mark_changed)
        notices.on_groups.append(self.repository.follow)  # first: what is offered is in the repository before
        self.updates = Updates(context, authority, blobs, chips, notices, self.repository)
        notices.on_releases.append(self.releases.refresh)
        self.releases.on_change += [self._publish_releases, self.updates.offers.refresh]  # in this order, as above
        self.bridge = Bridge(context, authority, blobs, self.updates, notices)
        self.watch = Watch(context, notices.news)
        self.notifications = Notifications(context, authority.hub_secret)
        notices.on_catalog_deleted.append(self.notifications.look_who_hears)
        self.advisories = Advisories(context, blobs, self.watch, authority.keys)
        notices.on_device.append(self.advisories.running.device_changed)
        self.response = Response(context, notices, self.updates, self.advisories, self.attestation.floors)
        self.audit = AuditLog(context)
        self.tokens = Tokens(context)
        self.search = Search(context, self.registry.names)
        self.sessions = Sessions()
        self.tokens.on_revoked.append(self.sessions.end_of_token)
        self.passkeys = Passkeys(context, self.sessions, lambda: self.console_address)
        self.api_port = context.settings.api_port  # the one in use, once the operator API listens
        self.flashed = FlashedSystems(authority, self.releases, blobs, chips)
        self.factory = Factory(
            context, authority, self.releases, self.repository, chips, self.flashed, self.device_address
        )
        self.tpms = TpmEnrolments(context, authority, self.factory, chips)
        self.enrolments = Enrolments(context, self.factory, self.tpms, chips, notices)
        self.hub_access = HubAccess(context, authority, self.registry, notices, self.watch.heard_at_hub)
        parts = ServingParts(
            context=context,
            notices=notices,
            chips=chips,
            blobs=blobs,
            authority=authority,
            releases=self.releases,
            policies=self.attestation.policies,
            offers=self.updates.offers,
        )
        self.serving = DeviceServing(parts, self.watch.observe, self.device_address)
        self.watch.drops.sources["device endpoint"] = self.serving.refusals_dropped
        self.first_token: str | None = None
        self._people: People | None = None
        self._provider = None if not context.settings.oidc_issuer else self._sign_in_provider()
        self._casework: Casework | None = None
        self._dossiers: Dossiers | None = None
        self._dumps_looked_at = 0
        self._disclosure: Disclosure | None = None
        self._support_ends: SupportEnds | None = None
        self._transparency: Transparency | None = None
        self._opening_transparency = threading.Lock()
        self._loops: ServiceLoops | None = None

    @classmethod
    def open(
        cls, settings: Settings, *, clock: Callable[[], float] = time.time, announces_token: bool = False
    ) -> SecurityService:
        """Open the data folder (making it the first time) and everything in it. No sockets yet.

        With ``announces_token`` the caller shows ``first_token`` to a person and then calls :meth:`token_announced`.
        Until then a first start counts as cut short: a token that nobody saw must not be the only one.

        Raises:
            DataFolderInUseError: another service holds the folder.
            DataFolderError: it cannot be used; the remedy says what to do.
        """
        with contextlib.ExitStack() as undo:
            folder = undo.enter_context(DataFolder.open(settings.data))
            Blobs(folder.blobs).remove_partial()
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
        self.authority.open(self.chips.makers)
        if self.context.folder.fresh:
            self.releases.make_first()
        self.releases.refresh()
        self.attestation.policies.refresh()
        self.updates.offers.refresh()
        self.bridge.artifacts.remove_partial()
        if not self.context.folder.fresh:
            collect(self.context.records, Blobs(self.context.folder.blobs), self.context.now())
            if self.authority.keys.names(DUMP_KEYS):
                from armillary.service.crash_dumps.ending import delete_unknown_keys  # noqa: PLC0415 - memory, as below

                delete_unknown_keys(self.context.records, self.authority.keys)

    @property
    def ceremony(self) -> Ceremony:
        """Operations on the keys of the repository; loads the package ``tuf``."""
        load_tuf()
        from armillary.service.repository.ceremony import Ceremony  # noqa: PLC0415 - 3 MB that few services need

        return Ceremony(self.context, self.repository)

    @property
    def transparency(self) -> Transparency:
        """The transparency logs; loaded when somebody first asks for a checkpoint or a proof."""
        from armillary.service.transparency.transparency import Transparency  # noqa: PLC0415 - few services are asked

        with self._opening_transparency:
            if self._transparency is None:
                self._transparency = Transparency(self.context, self.authority.keys, self.audit.outboxes.drain)
            return self._transparency

    @property
    def people(self) -> People:
        """Named people; loaded when somebody asks for them."""
        from armillary.service.people.people import People  # noqa: PLC0415 - memory: few services have any

        if self._people is None:
            self._people = People(self.context, self.sessions)
        return self._people

    @property
    def table_views(self) -> TableViews:
        """What people keep of the console's tables; loaded with the console."""
        from armillary.service.people.table_views import TableViews  # noqa: PLC0415 - memory: not without a console

        return TableViews(self.context)

    @property
    def sign_in_provider(self) -> SignInProvider | None:
        """The provider that people sign in with; None where the settings name none."""
        return self._provider

    def _sign_in_provider(self) -> SignInProvider:
        from armillary.identity.person import group_grants  # noqa: PLC0415 - memory: few services have a provider
        from armillary.service.people.provider import SignInProvider  # noqa: PLC0415 - memory, as above

        group_grants(self.settings.oidc_grants)  # refused at the start, not at the first sign-in
        return SignInProvider(self.settings, lambda: self.console_address, self.context.clock)

    @property
    def console_address(self) -> str:
        """Where people open the console: ``https://HOST``, with the port where it is not 443."""
        port = "" if self.api_port == HTTPS_PORT else f":{self.api_port}"
        return self.settings.console_address or f"https://{self.settings.public_host}{port}"

    @property
    def casework(self) -> Casework:
        """Cases that must be reported; loaded with the first."""
        from armillary.service.cases.casework import Casework  # noqa: PLC0415 - memory: few services have cases

        if self._casework is None:
            self._casework = Casework(self.context, self.advisories, self.watch, self.updates.rollouts)
        return self._casework

    @property
    def support_ends(self) -> SupportEnds:
        """Who is told that a product's support ends; loaded with the first end that is declared."""
        from armillary.service.watch.support_ends import SupportEnds  # noqa: PLC0415 - memory, as above

        if self._support_ends is None:
            self._support_ends = SupportEnds(self.context)
        return self._support_ends

    @property
    def disclosure(self) -> Disclosure:
        """How strangers report vulnerabilities, and what they reported; loaded where somebody has said how."""
        from armillary.service.disclosure.disclosure import Disclosure  # noqa: PLC0415 - memory, as above

        if self._disclosure is None:
            self._disclosure = Disclosure(self.context, self.authority.hub_secret)
        return self._disclosure

    @property
    def dossiers(self) -> Dossiers:
        """Dossiers; what makes them is loaded when somebody asks for one."""
        if self._dossiers is not None:
            return self._dossiers
        from armillary.service.assessment.assessment import Assessment  # noqa: PLC0415 - memory, as above
        from armillary.service.dossier.dossiers import Dossiers  # noqa: PLC0415 - memory, as above
        from armillary.service.dossier.held import Sources  # noqa: PLC0415 - memory, as above

        sources = Sources(
            context=self.context,
            advisories=self.advisories,
            assessment=Assessment(self.context),
            bills=self.updates.bills,
            cases=self.casework.cases,
            logs=self.transparency.logs,
            repository=self.repository,
            rollouts=self.updates.rollouts,
            watch=self.watch,
        )
        self._dossiers = Dossiers(self.context, self.authority.keys, self._blobs, sources)
        return self._dossiers

    @property
    def crash_dumps(self) -> CrashDumps:
        """Crash dumps of devices; loaded when somebody asks for them."""
        from armillary.service.crash_dumps.crash_dumps import CrashDumps  # noqa: PLC0415 - memory: few services have any

        return CrashDumps(self.context, self.authority.keys, self.notices)

    @property
    def cellular(self) -> CellularStatuses:
        """What devices say of their modems; loaded when one does, or somebody asks."""
        from armillary.service.cellular.cellular import CellularStatuses  # noqa: PLC0415 - memory, as above

        return CellularStatuses(self.context)

    @property
    def device_logs(self) -> DeviceLogs:
        """Logs of devices; loaded when somebody asks for one."""
        from armillary.service.device_logs.device_logs import DeviceLogs  # noqa: PLC0415 - memory, as above

        return DeviceLogs(self.context, self.notices)

    @property
    def settings(self) -> Settings:
        """This process's settings."""
        return self.context.settings

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self, hub: tuple[str, int] | None = None) -> None:
        """Open the device endpoint and start the planner and the watch.

        ``hub`` is the host and port of the hub as devices are given them; those of the settings when None.

        Raises:
            PortInUseError: another process has the device port.
            HostError: a device worker cannot start.
        """
        self.hub_address = hub or self.hub_address
        self.watch.open_since = await self.serving.start(self.hub_address)
        self._loops = ServiceLoops(
            self.context,
            self.updates.planner,
            self.watch,
            self.advisories,
            self.authority,
            self.serving.present,
            self.repository,
            self._renew_offers,
            self._look_at_clocks,
            self.notifications.wake,
            self.response,
        )
        self._loops.start()
        self.notifications.start()
        self.notices.on_news.append(self._loops.wake)
        self.notices.on_groups.append(self._loops.wake)
        self.notices.on_artifacts.append(self._loops.wake)
        _log.info("device endpoint ready", host=self.settings.host, port=self.device_address.port)

    def _publish_releases(self) -> None:
        """Have the repository name the releases in force; before the start there is nobody to offer them to."""
        if self._loops is not None:
            self.repository.follow()

    def _renew_offers(self) -> None:
        """Do what time alone brings: quarantines end, signing keys are renewed, offers are computed again."""
        self.registry.quarantine.end_due()
        self.updates.trust_stores.look()
        if self.updates.offers.is_due():
            self.notices.groups_changed()

    def _look_at_clocks(self) -> None:
        """Do what time alone brings: what must be reported or answered, support, crash dumps and logs that end.

        Where there is nothing of these, it is small queries.
        """
        records, now = self.context.records, self.context.now()
        if records.read(has_open_case):
            self.casework.clocks.look()
        if records.read(has_disclosure):
            self.disclosure.due.look()
        if self._support_ends is not None or records.read(has_declared_support):
            self.support_ends.look()
        if now >= self._dumps_looked_at + DUMPS_LOOK_S:
            self._dumps_looked_at = now
            if records.read(has_dump_keys):
                from armillary.service.crash_dumps.ending import end_dumps  # noqa: PLC0415 - memory, as above

                end_dumps(self.context, self.authority.keys)
            if records.read(has_device_logs):
                self.device_logs.remove_ended()

    async def close(self) -> None:
        """Stop listening, finish what is being recorded, close the records and release the folder."""
        if self._loops is not None:
            await self._loops.close()
        await self.serving.close()
        await asyncio.to_thread(self.notifications.close)
        await asyncio.to_thread(self.bridge.close)
        await asyncio.to_thread(self.advisories.close)
        await asyncio.to_thread(self.context.records.close)
        self.authority.close()
        self.context.folder.close()

    def health(self) -> dict[str, object]:
        """How the service is doing, for ``/healthz`` and ``armillary status``."""
        records, loops, serving = self.context.records, self._loops, self.serving.health()
        records_ok = records.is_readable()
        loops_ok = loops is not None and loops.healthy
        looks = {"ok": loops_ok, "last_run_at": None if loops is None else loops.last_run_at}
        released = not self.repository.fault
        return {
            "ok": records_ok and loops_ok and released and all(part["ok"] for part in serving.values()),
            "records": {"ok": records_ok, "queued": records.queued, "commits": records.batches},
            **serving,
            "repository": {"ok": released, "fault": self.repository.fault, "keys": self.repository.custody},
            "planner": looks,
            "watch": looks,
        }
