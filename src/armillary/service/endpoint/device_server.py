# SPDX-License-Identifier: Apache-2.0
"""The device endpoint of one process with all its parts: TLS, the verifier, the cache of devices."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from armillary.engines.delta.cache import DeltaCache
from armillary.service.authority.authority import Authority
from armillary.service.authority.server_certificate import ServerFiles
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.endpoint.endpoint import DeviceEndpoint, server_context
from armillary.service.repository.director import Director
from armillary.service.repository.files import RepositoryFiles
from armillary.service.updates.deltas import Deltas
from armillary.service.updates.offers import Offers
from armillary.service.verifier.attestation_policy import AttestationPolicies
from armillary.service.verifier.device_states import DeviceStates
from armillary.service.verifier.releases import Releases
from armillary.service.verifier.verifier import Verifier
from armillary.service.watch.heartbeat import Liveness


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingParts:
    """The parts that serving devices needs, in the service's own process or in a device worker."""

    context: Context
    notices: Notices
    chips: Chips
    blobs: Blobs
    authority: Authority
    releases: Releases
    policies: AttestationPolicies
    offers: Offers


class DeviceServer:
    """Serves devices, in one event loop.

    ``hub`` is the host and port of the hub as devices are given them; with ``has_siblings`` other processes serve the
    same devices.
    """

    def __init__(self, parts: ServingParts, *, hub: tuple[str, int], has_siblings: bool = False) -> None:
        context, authority = parts.context, parts.authority
        self._context, self._authority = context, authority
        self._chips = parts.chips
        self._tls: ssl.SSLContext | None = None
        files = RepositoryFiles(context.folder.path)
        self.states = DeviceStates(context.records, context.now)
        self.verifier = Verifier(
            context,
            authority,
            parts.releases,
            parts.policies,
            parts.offers,
            Director(context.records, authority.keys, files),
            self.states,
            hub=hub,
            has_siblings=has_siblings,
        )
        self.endpoint = DeviceEndpoint(
            records=context.records,
            verifier=self.verifier,
            states=self.states,
            offers=parts.offers,
            blobs=parts.blobs,
            repository=files,
            deltas=Deltas(
                context.records,
                parts.blobs,
                DeltaCache(context.folder.deltas, limit_bytes=context.settings.delta_cache_mb << 20),
            ),
            notices=parts.notices,
            now=context.now,
            trust_anchors=authority.roots.trust_anchors,
            renew_identity=self._renew_identity,
            keep_dump=self._keep_dump,
            keep_log=self._keep_log,
            keep_cellular=self._keep_cellular,
            held_hints=context.settings.check_now_connections,
        )
        parts.notices.on_device.append(self.device_changed)
        parts.notices.on_asked.append(self.devices_changed)

    async def start(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen and return the port (``shared``: see :meth:`Listener.open`); PortInUseError if it is taken."""
        files = self._authority.server.files()
        self._tls = server_context(files.certificate, files.key, self._authority.silicon.certificates())
        return await self.endpoint.start(self._tls, host, port, shared=shared)

    async def close(self) -> None:
        """Accept nobody any more, finish what is being recorded, close every connection."""
        await self.endpoint.close()

    def device_changed(self, device_id: str) -> None:
        """Read a device again before its next request; one that was asked to check in is told so."""
        self.states.mark_stale(device_id)
        self.endpoint.wake(device_id)

    def devices_changed(self, device_ids: Iterable[str]) -> None:
        """The same of several."""
        for device_id in device_ids:
            self.device_changed(device_id)

    def present(self, files: ServerFiles) -> None:
        """Present the server certificate in these files from the next handshake on."""
        if self._tls is not None:
            self._tls.load_cert_chain(files.certificate, files.key)

    def trust(self, *silicon: bytes) -> None:
        """Trust these silicon authorities (DER) too, from the next handshake on."""
        if self._tls is not None:
            for der in silicon:
                self._tls.load_verify_locations(cadata=der)

    @property
    def liveness(self) -> Liveness:
        """The last heartbeat of the endpoint."""
        return self.endpoint.liveness

    @property
    def connections(self) -> int:
        """Open connections."""
        return self.endpoint.connections

    @property
    def counts(self) -> Counter[str]:
        """Counters of the endpoint."""
        return self.endpoint.counts

    @property
    def is_whole(self) -> bool:
        """True: this process serves devices as long as it runs."""
        return True

    def _keep_dump(self, device_id: str, data: bytes) -> bytes:
        from armillary.service.crash_dumps.intake import DumpIntake  # noqa: PLC0415 - memory: dumps are rare
        from armillary.wire.device.crash_dump import encode_receipt  # noqa: PLC0415

        return encode_receipt(DumpIntake(self._context, self._authority.keys).take(device_id, data))

    def _keep_log(self, device_id: str, data: bytes) -> bytes:
        from armillary.service.device_logs.intake import LogIntake  # noqa: PLC0415 - memory, as above
        from armillary.wire.device.device_log import encode_log_receipt  # noqa: PLC0415

        return encode_log_receipt(LogIntake(self._context).take(device_id, data))

    def _keep_cellular(self, device_id: str, data: bytes) -> bytes:
        from armillary.service.cellular.cellular import CellularStatuses  # noqa: PLC0415 - memory, as above
        from armillary.wire.device.cellular_status import encode_status_receipt  # noqa: PLC0415

        CellularStatuses(self._context).take(device_id, data)
        return encode_status_receipt()

    def _renew_identity(self, chip: str, device_id: str, ends: int) -> bytes:
        return self._authority.silicon.renew_identity(self._chips.get(chip).maker, device_id, ends)
