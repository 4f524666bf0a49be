# SPDX-License-Identifier: Apache-2.0
"""Hub devices and modules: clients that show a key or a certificate of their own and attest nothing.

A catalog admits none of them until its administrator allows it, for certificates and for symmetric keys separately
(:meth:`HubIdentities.set_admission`). Symmetric keys are shown when they are made, and afterwards to services with a
key that reveals them (``service_keys.py``). A device that attests has no key here, whatever an operator asks for:
only its modules are registered, and they show its client certificate.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows, hub as hub_rows, names as name_rows
from armillary.engines.records.queries.hub import Admission, Authentication, HubIdentity
from armillary.engines.records.schema.rows import Page
from armillary.engines.signer.sealed import Sealer
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.authority.authority import Authority
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.hub_access.certificates import claim_names, with_certificates
from armillary.service.registry.names import catalog_or_raise, no_such_identity
from armillary.wire.hub.credentials import check_device_name, check_module_name, device_of, is_attested_id
from armillary.wire.hub.sas_token import KEY_BYTES

# Of one catalog; each is a row.
MAX_DEVICES: Final = 100_000
# IoT Hub's limit, for one device.
MAX_MODULES: Final = 50
MAX_REASON_CHARS: Final = 128


@dataclass(frozen=True, slots=True)
class Keys:
    """Symmetric keys in the clear, shown once."""

    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False)

    @classmethod
    def random(cls) -> Keys:
        """Two new ones."""
        return cls(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityForm:
    """What an identity is to be; ``authentication`` is what it shows.

    Attributes:
        keys: For ``sas``; None keeps the ones there are, or makes new ones.
        awaits_keys: For ``sas``: it has no keys yet, so it cannot connect. An operator asks for them later, or an
            enrolment group registers the device.
        certificates: For ``selfSigned``: PEM of the primary and secondary certificate; empty for none.
        thumbprints: The same as thumbprints only; TLS cannot accept the client before it has the certificate.
    """

    authentication: Authentication
    keys: Keys | None = None
    awaits_keys: bool = False
    certificates: tuple[str, str] = ("", "")
    thumbprints: tuple[str, str] = ("", "")
    is_enabled: bool = True
    status_reason: str = ""


class HubIdentities:
    """Stores hub devices and modules, and what catalogs admit. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, authority: Authority, notices: Notices) -> None:
        self._context = context
        self._authority = authority
        self._notices = notices

    @cached_property
    def sealer(self) -> Sealer:
        """Seals the symmetric keys."""
        return Sealer(self._authority.hub_secret())

    # -- what catalogs admit --------------------------------------------------------------------------------------

    def admission(self, catalog: str) -> Admission:
        """What a catalog admits."""
        return self._context.records.read(lambda c: hub_rows.admission(c, catalog_or_raise(c, catalog).catalog_id))

    def set_admission(
        self, catalog: str, *, actor: str, certificates: bool | None = None, symmetric_keys: bool | None = None
    ) -> Admission:
        """Set what a catalog admits; None leaves it. Clients that are not admitted any more are disconnected."""

        def change(connection: Connection) -> Admission:
            found = catalog_or_raise(connection, catalog)
            before = hub_rows.admission(connection, found.catalog_id)
            made = replace(
                before,
                certificates=before.certificates if certificates is None else certificates,
                symmetric_keys=before.symmetric_keys if symmetric_keys is None else symmetric_keys,
                changed_at=self._context.now(),
                changed_by=actor,
            )
            hub_rows.set_admission(connection, made)
            detail = {"certificates": made.certificates, "symmetric_keys": made.symmetric_keys}
            self._context.audit(connection, actor, "catalog.hub-admission", found.name, detail)
            return made

        made = self._context.records.write(change)
        self._notices.hub_trust_changed()
        if not (made.certificates and made.symmetric_keys):
            self._close_not_admitted(made)
        return made

    def trust(self) -> tuple[bool, tuple[bytes, ...]]:
        """Whether clients without a certificate are admitted, and the certificates that TLS must trust (DER).

        Devices with symmetric keys have none, nor have services with a key, which use the hub's ports too.
        """

        def query(connection: Connection) -> tuple[bool, tuple[bytes, ...]]:
            keys = any(each.symmetric_keys for each in hub_rows.every_admission(connection))
            return keys or bool(hub_rows.service_keys(connection, None)), hub_rows.certificates(connection)

        return self._context.records.read(query)

    # -- identities -----------------------------------------------------------------------------------------------

    def get(self, identity: str) -> HubIdentity:
        """A hub device or module; NotFoundError if there is none."""
        found = self._context.records.read(lambda c: _current(c, hub_rows.identity(c, identity)))
        if found is None:
            raise no_such_identity(identity)
        return found

    def list(
        self, catalog: str | None, *, after: str = "", limit: int, prefix: str = "", search: str = ""
    ) -> tuple[HubIdentity, ...]:
        """Hub devices by id; with ``prefix`` those whose ids begin so, with ``search`` also those whose names do."""

        def query(connection: Connection) -> tuple[HubIdentity, ...]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            if not search:
                return hub_rows.identities(connection, owner, after=after, limit=limit, prefix=prefix)
            named = name_rows.matching(connection, search, catalog_id=owner, limit=name_rows.MAX_MATCHES)
            found = {
                each.identity: each
                for start in range(0, len(named), hub_rows.MAX_SOME)
                for each in hub_rows.some_identities(connection, named[start : start + hub_rows.MAX_SOME])
                if each.identity > after
            }
            begun = hub_rows.identities(connection, owner, after=after, limit=limit, prefix=search)
            found |= {each.identity: each for each in begun}
            return tuple(found[each] for each in sorted(found))[:limit]

        return self._context.records.read(query)

    def sorted(
        self,
        catalog: str | None,
        order: str,
        *,
        limit: int,
        after: str | None = None,
        prefix: str = "",
        search: str = "",
    ) -> Page[HubIdentity]:
        """Hub devices as :meth:`list` finds them, in an order over all pages."""

        def query(connection: Connection) -> Page[HubIdentity]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            named = None
            if search:
                named = name_rows.matching(connection, search, catalog_id=owner, limit=name_rows.MAX_MATCHES)
            return hub_rows.sorted_identities(
                connection, owner, order, limit=limit, after=after, prefix=search or prefix, named=named
            )

        return self._context.records.read(query)

    def list_modules(self, catalog: str | None, *, after: str = "", limit: int) -> Page[HubIdentity]:
        """Modules of a catalog's devices, None for all, by ``device/module``; the cursor is the last that was read."""

        def query(connection: Connection) -> Page[HubIdentity]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            found = hub_rows.identities(connection, owner, after=after, limit=limit, modules=True)
            current = tuple(each for each in found if _current(connection, each) is not None)
            return Page(current, found[-1].identity if len(found) == limit else None)

        return self._context.records.read(query)

    def modules(self, device_id: str) -> tuple[HubIdentity, ...]:
        """The modules of a device, hub device or one that attests."""
        device = device_id.lower() if is_attested_id(device_id) else device_id

        def query(connection: Connection) -> tuple[HubIdentity, ...]:
            found = hub_rows.identities(connection, None, limit=MAX_MODULES, device=device)
            return tuple(each for each in found if _current(connection, each) is not None)

        return self._context.records.read(query)

    def put(
        self,
        identity: str,
        form: IdentityForm,
        *,
        actor: str,
        catalog_id: UUID | None = None,
        if_match: str | None = None,
        create: bool = False,
    ) -> tuple[HubIdentity, Keys | None]:
        """Make an identity (``device`` or ``device/module``) or change it; new keys are returned this once.

        With ``create`` it must not exist yet, without it must. ``catalog_id`` is the owner of a new one; a new module
        has to be of a device of it. ``if_match`` is the ETag that the caller has seen; None or ``*`` for any.

        Raises:
            ConflictError: it exists, or its ETag is another one, or there are too many.
            NotFoundError: it does not exist, or the module's device does not.
            InvalidArgumentError: name, certificate or keys.
        """
        _check(identity, form)

        def change(connection: Connection) -> tuple[HubIdentity, Keys | None]:
            stored = hub_rows.identity(connection, identity)
            before = _current(connection, stored)
            if stored is not None and before is None:  # an earlier owner's
                hub_rows.remove_identity(connection, identity)
            if create and before is not None:
                raise taken(identity)
            if not create and before is None:
                raise no_such_identity(identity)
            now = self._context.now()
            if before is None:
                owner = self._owner_for(connection, identity, form, catalog_id)
                before = HubIdentity(
                    identity=identity,
                    catalog_id=owner,
                    authentication=form.authentication,
                    etag=0,
                    generation_id=uuid4().hex,
                    created_at=now,
                    changed_at=now,
                )
            else:
                match_etag(before, if_match)
            made, keys = self._formed(before, form)
            if _shows(made) != _shows(
                before
            ):  # an operator gave it another thing to show: no enrolment takes that back
                made = replace(made, enrolment_id=None)
            made = replace(made, etag=before.etag + 1, changed_at=now)
            claim_names(connection, identity, made.primary_certificate, made.secondary_certificate)
            hub_rows.put_identity(connection, made, is_new=create)
            verb = "create" if create else "update"
            detail = {"authentication": made.authentication, "enabled": made.is_enabled}
            self._context.audit(connection, actor, f"hub-device.{verb}", identity, detail)
            return made, keys

        made, keys = self._context.records.write(change)
        if not create:
            self._notices.hub_client_closed(identity)
        self._notices.hub_trust_changed()
        return made, keys

    def delete(self, identity: str, *, actor: str, if_match: str | None = None) -> HubIdentity:
        """Delete an identity, and with a device its modules.

        Raises:
            NotFoundError: there is none.
            ConflictError: its ETag is another one.
        """

        def change(connection: Connection) -> HubIdentity:
            found = _current(connection, hub_rows.identity(connection, identity))
            if found is None:
                raise no_such_identity(identity)
            match_etag(found, if_match)
            hub_rows.remove_identity(connection, identity)
            hub_rows.release_names(connection, identity)
            if "/" not in identity:
                hub_rows.remove_registration(connection, found.catalog_id, identity)
            self._context.audit(connection, actor, "hub-device.delete", identity, {})
            return found

        found = self._context.records.write(change)
        self._notices.hub_client_closed(identity)
        return found

    def keys_of(self, found: HubIdentity) -> tuple[bytes, ...]:
        """The keys that sign this identity's tokens; DataFolderError if they do not open."""
        sealed = ((found.primary_key, "primary"), (found.secondary_key, "secondary"))
        return tuple(self.sealer.open(key, _purpose(found.identity, which)) for key, which in sealed if key is not None)

    def note_shown(self, actor: str, target: str, identities: int) -> None:
        """Audit that ``actor`` saw the keys of ``target``, which is an identity, or ``several`` with their number."""
        self._context.records.write(
            lambda c: self._context.audit(c, actor, "hub-device.show-keys", target, {"identities": identities})
        )

    def _owner_for(self, connection: Connection, identity: str, form: IdentityForm, catalog_id: UUID | None) -> UUID:
        device, _, module = identity.partition("/")
        if module:
            if len(hub_rows.identities(connection, None, limit=MAX_MODULES, device=device)) >= MAX_MODULES:
                raise ConflictError(f"device {device[:40]} has {MAX_MODULES} modules, which is all there may be")
            owner = self._owner_of_device(connection, device)
            if catalog_id not in (None, owner):  # of another's device nobody makes a module
                raise no_such_identity(device)
            return owner
        if catalog_id is None:
            raise InvalidArgumentError("a hub device needs a catalog", remedy="Name its catalog.")
        if hub_rows.count_identities(connection, catalog_id)[0] >= MAX_DEVICES:
            raise ConflictError(f"the catalog has {MAX_DEVICES} hub devices, which is all there may be")
        if form.authentication == "device":
            raise InvalidArgumentError("authentication: only modules show their device's", remedy="Choose another.")
        return catalog_id

    def _owner_of_device(self, connection: Connection, device: str) -> UUID:
        if is_attested_id(device):
            enrolled = device_rows.enrolled(connection, device)
            if enrolled is None or enrolled.catalog_id is None:
                raise NotFoundError(f"device {device[:16]}... is in no catalog", remedy="Claim it first.")
            return enrolled.catalog_id
        found = hub_rows.identity(connection, device)
        if found is None:
            raise no_such_identity(device)
        return found.catalog_id

    def _formed(self, before: HubIdentity, form: IdentityForm) -> tuple[HubIdentity, Keys | None]:
        bare = replace(
            before,
            authentication=form.authentication,
            is_enabled=form.is_enabled,
            status_reason=form.status_reason,
            primary_key=None,
            secondary_key=None,
            primary_thumbprint="",
            secondary_thumbprint="",
            primary_certificate=None,
            secondary_certificate=None,
        )
        if form.authentication == "sas" and form.awaits_keys:
            return bare, None
        if form.authentication == "sas":
            if form.keys is None and before.primary_key is not None:
                return replace(bare, primary_key=before.primary_key, secondary_key=before.secondary_key), None
            keys = form.keys or Keys.random()
            return self.with_keys(bare, keys), keys
        if form.authentication == "selfSigned":
            return with_certificates(bare, before, form.certificates, form.thumbprints), None
        return bare, None

    def with_keys(self, bare: HubIdentity, keys: Keys) -> HubIdentity:
        """The identity with these keys, sealed."""
        return replace(
            bare,
            primary_key=self.sealer.seal(keys.primary, _purpose(bare.identity, "primary")),
            secondary_key=self.sealer.seal(keys.secondary, _purpose(bare.identity, "secondary")),
        )

    def _close_not_admitted(self, made: Admission) -> None:
        after = ""
        while True:
            page = self._context.records.read(
                lambda c, after=after: hub_rows.identities(c, made.catalog_id, after=after, limit=1000)  # type: ignore[misc]
            )
            for each in page:
                if not admits(made, each):
                    self._notices.hub_client_closed(each.identity)
            if len(page) < 1000:
                return
            after = page[-1].identity


def _current(connection: Connection, found: HubIdentity | None) -> HubIdentity | None:
    """The module, or None if its attesting device is not owned any more by the catalog that registered it."""
    if found is None or not is_attested_id(found.identity):
        return found
    enrolled = device_rows.enrolled(connection, device_of(found.identity))
    return found if enrolled is not None and enrolled.catalog_id == found.catalog_id else None


def admits(admission: Admission, found: HubIdentity) -> bool:
    """Whether a catalog admits what this identity shows."""
    return admission.symmetric_keys if found.authentication == "sas" else admission.certificates


def _shows(found: HubIdentity) -> tuple[object, ...]:
    """Everything that authenticates an identity."""
    keys = found.primary_key, found.secondary_key
    certificates = found.primary_thumbprint, found.secondary_thumbprint
    return (found.authentication, keys, certificates, found.primary_certificate, found.secondary_certificate)


def awaits_keys(found: HubIdentity) -> bool:
    """Whether an operator made it with neither keys nor a certificate."""
    return found.authentication == "sas" and found.primary_key is None and found.enrolment_id is None


def match_etag(found: HubIdentity, if_match: str | None) -> None:
    """Check an If-Match; ConflictError if the identity has changed since."""
    if if_match is None or if_match.strip('"') in ("*", etag_of(found)):
        return
    raise ConflictError(
        f"{found.identity:.80}: expected ETag {etag_of(found)}, got {if_match[:64]!a}",
        remedy="Read it again and apply the change to what it says now.",
        code="request.precondition",
    )


def etag_of(found: HubIdentity) -> str:
    """Opaque value to send back in If-Match; without quotes."""
    return f"id-{found.etag}"


def _check(identity: str, form: IdentityForm) -> None:
    device, slash, module = identity.partition("/")
    attested = is_attested_id(device)
    if not attested:
        check_device_name(device)
    elif not slash or form.authentication != "device":
        raise InvalidArgumentError(
            f"device {device[:16]}... attests: it shows its client certificate and has no other way in",
            remedy="Its modules are registered with the authentication 'device'.",
        )
    if slash:
        check_module_name(module)
    if len(form.status_reason) > MAX_REASON_CHARS or not form.status_reason.isprintable():
        raise InvalidArgumentError(
            f"status reason: expected at most {MAX_REASON_CHARS} printable characters", remedy="Say less."
        )


def _purpose(identity: str, which: str) -> str:
    return f"hub identity {identity} {which}"


def taken(identity: str) -> ConflictError:
    """The error for an id that a device has already.

    Ids of hub devices are unique in the whole service: clients name their device by its id alone. So an operator learns
    that another catalog has an id, and neither which catalog nor for what.
    """
    return ConflictError(f"the id {identity!r:.80} is taken", remedy="Choose another one.", code="hub.identity-exists")
