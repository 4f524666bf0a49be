# SPDX-License-Identifier: Apache-2.0
"""Operations on hub devices and their modules: register one under a name, change what it shows."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.engines.records.queries.hub import HubIdentity
from armillary.errors import InvalidArgumentError
from armillary.identity.operator import Operator
from armillary.service.hub_access.identities import HubIdentities, IdentityForm, Keys, awaits_keys, etag_of
from armillary.service.registry.registry import Registry
from armillary.wire.text.device_name import check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityChange:
    """A change of a hub device or module; what is None or empty stays.

    ``new_keys`` gives it two new symmetric keys; ``certificates`` are PEM, primary and secondary, for ``selfSigned``.
    """

    is_enabled: bool | None = None
    status_reason: str | None = None
    new_keys: bool = False
    certificates: tuple[str, str] = ("", "")


class HubDeviceOperations:
    """Operations on hub devices and modules; the audit log says who did what."""

    def __init__(self, identities: HubIdentities, registry: Registry) -> None:
        self._identities = identities
        self._registry = registry

    def make(
        self, actor: Operator, catalog: str, device_id: str, name: str, form: IdentityForm
    ) -> tuple[HubIdentity, Keys | None]:
        """Register a hub device of a catalog; an empty ``name`` leaves it called by its id.

        Raises:
            NotFoundError: there is no such catalog.
            InvalidArgumentError: the id, the name or the form makes no sense.
            ConflictError: there is such a device already.
        """
        owner, name = self._registry.catalogs.get(catalog).catalog_id, check_name(name)
        if "/" in device_id:
            remedy = "Leave it out; a module is made under its device."
            raise InvalidArgumentError("device id: expected no slash", remedy=remedy)
        made, keys = self._identities.put(device_id, form, actor=actor.name, catalog_id=owner, create=True)
        if name:
            self._registry.names.rename(made.identity, name, actor=actor.name)
        return made, keys

    def make_module(
        self, actor: Operator, device_id: str, module_id: str, form: IdentityForm
    ) -> tuple[HubIdentity, Keys | None]:
        """Register a module of a device. Raises as :meth:`make`."""
        return self._identities.put(f"{device_id}/{module_id}", form, actor=actor.name, create=True)

    def change(self, actor: Operator, identity: str, change: IdentityChange) -> tuple[HubIdentity, Keys | None]:
        """Enable, disable or give other keys or certificates.

        Raises:
            NotFoundError: there is none.
            InvalidArgumentError: it shows something else.
            ConflictError: somebody else changed it at the same moment.
        """
        before = self._identities.get(identity)
        if any(change.certificates) and before.authentication != "selfSigned":
            raise InvalidArgumentError(
                f"certificate: {identity:.80} shows {before.authentication}", remedy="Make another device for it."
            )
        if change.new_keys and before.authentication != "sas":
            raise InvalidArgumentError(
                f"new_keys: {identity:.80} shows {before.authentication}", remedy="Make another device for it."
            )
        form = IdentityForm(
            authentication=before.authentication,
            keys=Keys.random() if change.new_keys else None,
            awaits_keys=awaits_keys(before) and not change.new_keys,
            certificates=change.certificates,
            thumbprints=(before.primary_thumbprint, before.secondary_thumbprint),
            is_enabled=before.is_enabled if change.is_enabled is None else change.is_enabled,
            status_reason=before.status_reason if change.status_reason is None else change.status_reason,
        )
        return self._identities.put(identity, form, actor=actor.name, if_match=etag_of(before))
