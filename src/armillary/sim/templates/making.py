# SPDX-License-Identifier: Apache-2.0
"""Makes and removes what an application of simulated devices needs: product and group, devices, documents.

A simulated device is manufactured like any other, with tier *simulated*; the key that proves it is thrown away at once,
so nobody, here or elsewhere, can ever check in as it. Blocks: call it from threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from armillary.content.application_templates import ApplicationTemplate
from armillary.engines.documents.store import Delete, Put
from armillary.errors import ConflictError, NotFoundError
from armillary.sim.templates.plans import VERSION, cloud_of

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

GROUP: Final = "Simulated"
TIER: Final = "simulated"
CHIP: Final = "imx8mp"  # of devices that have no processor: any would do


class Making:
    """Makes and removes the parts of an application of simulated devices."""

    def __init__(
        self, service: SecurityService, hub: Hub, platform: Platform, catalog: str, product: str, actor: str
    ) -> None:
        self._service = service
        self._hub = hub
        self._platform = platform
        self._catalog = catalog
        self._product = product
        self._actor = actor

    def place(self, title: str) -> None:
        """Make the catalog, the product and the device group where they are missing."""
        registry = self._service.registry
        try:
            registry.catalogs.get(self._catalog)
        except NotFoundError:
            registry.catalogs.create(self._catalog, actor=self._actor)
        description = f"Simulated devices: {title}"[:100]
        with contextlib.suppress(ConflictError):  # it is there
            registry.products.create(self._catalog, self._product, actor=self._actor, description=description)
        with contextlib.suppress(ConflictError):
            registry.groups.create(
                self._catalog, self._product, GROUP, actor=self._actor, description="Played by the service itself"
            )

    def remove_place(self) -> None:
        """Delete the product, unless something else is in it."""
        try:
            self._service.registry.products.delete(self._catalog, self._product, actor=self._actor)
        except (ConflictError, NotFoundError):
            return

    def device(self, template: str, role: str, number: int, name: str) -> dict[str, Any]:
        """Manufacture and claim a device; its entry in the ``simulation`` document."""
        service = self._service
        made = service.factory.enrol(_request(), CHIP, self._actor, trust_tier=TIER)
        service.registry.devices.claim(
            self._catalog, [made.device_id], actor=self._actor, product=self._product, group=GROUP
        )
        tags = {"simulated": True, "name": name, "application": template, "role": role}
        self._hub.twins.change(made.device_id, tags=tags)
        return {"id": made.device_id, "role": role, "number": number, "name": name}

    def names(self, devices: Sequence[Mapping[str, Any]]) -> None:
        """Give the devices of a ``simulation`` document the names they have there, unless they have one already."""
        wanted = {each["id"]: each["name"] for each in devices}
        bare = [
            each for each in self._service.registry.names.described([*wanted]) if not each.is_named and each.catalog
        ]
        self._service.registry.names.rename_all(
            {each.device_id: wanted[each.device_id] for each in bare}, actor=self._actor
        )

    def take_out(self, device_ids: Sequence[str]) -> None:
        """Take simulated devices out of service; those that are already, and devices of any other tier, are left."""
        for device_id in device_ids:
            try:
                if self._service.registry.devices.get(device_id).trust_tier != TIER:
                    continue
                self._service.registry.lifecycle.decommission(
                    device_id, reason="simulated device no longer wanted", actor=self._actor
                )
            except (ConflictError, NotFoundError):
                continue
        store = self._platform.documents
        gone: list[Put | Delete] = [Delete("device", each) for each in device_ids if store.find("device", each)]
        if gone:
            store.change(gone, by=self._actor)

    def documents(self, documents: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Keep the documents that are not there; those that are have an author who may have changed them."""
        store = self._platform.documents
        puts: list[Put | Delete] = [
            Put(kind, document_id, body)
            for (kind, document_id), body in documents.items()
            if store.find(kind, document_id) is None
        ]
        if puts:
            store.change(puts, by=self._actor)

    def cloud_properties(self, template: ApplicationTemplate, devices: Sequence[Mapping[str, Any]]) -> None:
        """Give every device its template and its cloud properties, unless it has some."""
        tables = {table["role"]: table for table in template.devices}
        bodies: dict[tuple[str, str], Mapping[str, Any]] = {}
        for device in devices:
            table = tables[device["role"]]
            cloud = cloud_of(table, device["number"])
            bodies["device", device["id"]] = {"template": table["template"], "version": VERSION, "cloud": cloud}
        self.documents(bodies)


def _request() -> str:
    """A certificate request of a key that nobody keeps."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()
