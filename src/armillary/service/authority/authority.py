# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of a service.

::

    root (P-384, 20 y) -> server certificates (P-256, 1 y)
                       -> OS signing, image signing (P-256, 20 y)
                       -> policy authority (P-384, 5 y) -> catalog authority (P-384, 2 y)
                          -> issuing authority (P-256, 90 d) -> client (24 h)
    silicon authority per chip maker (P-256, 20 y, self-signed) -> device identity certificates (P-256)

The silicon authority is on P-256, as everything of a device: its signature is checked in every TLS handshake, and a
P-384 one costs as much as the whole rest of a check-in.

Each kind has a module of its own. A certificate is recorded before it is given out (``issued.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import structlog

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import HostError, InvalidArgumentError, SignerError
from armillary.service.authority.catalog_authority import CatalogAuthorities
from armillary.service.authority.issued import IssuedCertificates, new_serial
from armillary.service.authority.key_store import CHALLENGE_SECRET, HUB_SECRET, KeyStore
from armillary.service.authority.life import serving_root
from armillary.service.authority.policy_authority import PolicyAuthorities
from armillary.service.authority.revocation_lists import RevocationLists
from armillary.service.authority.root_authority import ROOT_NAME, RootAuthorities
from armillary.service.authority.server_certificate import ServerCertificate
from armillary.service.authority.signing_keys import IMAGES, KINDS, OS, Signer, SigningKeys
from armillary.service.authority.silicon_authority import SiliconAuthorities
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices

# What an operator can renew, and which of it has a name: of a chip maker, or of a catalog.
RENEWED: Final = ("root", "policy", "silicon", "catalog", "issuing")
NAMED: Final = ("silicon", "catalog", "issuing")

_log = structlog.get_logger("armillary.service.authority.authority")


class Authority:
    """Keys and certificates, by kind. Thread-safe.

    :meth:`open` loads the keys that sign and ``challenge_key``, which seals challenges to devices;
    :meth:`open_to_issue` only the last.
    """

    challenge_key: bytes

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self.keys = KeyStore(context.folder.keys, context.settings)
        self.issued = IssuedCertificates(context)
        self.roots = RootAuthorities(context, self.keys, self.issued)
        self.silicon = SiliconAuthorities(context, self.keys, self.issued)
        self.policy = PolicyAuthorities(context, self.keys, self.issued, self.roots)
        self.catalogs = CatalogAuthorities(context, self.keys, self.issued, self.policy)
        self.signing = SigningKeys(context, self.keys, self.issued, self.roots)
        self.server = ServerCertificate(context, self.keys, self.issued, self.roots)
        self.revocation_lists = RevocationLists(context, self.keys, self.issued, self.catalogs, notices)

    def close(self) -> None:
        """Close the key store."""
        self.keys.close()

    @property
    def os_signer(self) -> Signer:
        """The key that signs boot components, trust stores and capability files."""
        return self.signing.signer(OS)

    @property
    def image_signer(self) -> Signer:
        """The key that signs applications."""
        return self.signing.signer(IMAGES)

    # -- first start and start ------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make and record the root, the policy authority and the signing keys of a new service."""
        root = self.roots.make("root", ROOT_NAME, new_serial())
        records = [root, self.policy.make(root), *self.signing.make_first(root)]
        self.keys.create_secret(*CHALLENGE_SECRET)
        self._context.records.write(lambda c: self.issued.record(c, records))

    def open(self, makers: Iterable[str]) -> None:
        """Load keys, make an authority for each new chip maker, and renew what ends soon; at every start."""
        self.signing.open()
        self.challenge_key = self.keys.secret(*CHALLENGE_SECRET)
        self.silicon.add_makers(makers)
        try:
            self.renew()
        except SignerError as error:  # a token that is away: what is not renewed today has weeks left
            if not self.server.files().certificate.exists():
                raise
            _log.error("renewal failed", error=error.message, remedy=error.remedy)

    def hub_secret(self) -> bytes:
        """The secret that encrypts symmetric keys of hub devices; made at the first call."""
        return self.keys.made_secret(*HUB_SECRET)

    def open_to_issue(self) -> None:
        """Load what serving devices takes; device workers call it at their start and after each renewal."""
        self.challenge_key = self.keys.secret(*CHALLENGE_SECRET)
        self.roots.forget_anchors()
        self.catalogs.reread()

    def renew(self) -> None:
        """Renew what ends soon, from the root to issuing authorities and server certificate; daily and at each start.

        A renewal that fails does not stop the others, and what was active stays active. At the end the first HostError
        is raised.
        """
        catalogs = self._context.records.read(catalog_rows.catalogs)
        renewals: list[Callable[[], None]] = [self.roots.renew_due, self.server.renew_due, self.silicon.renew_due]
        renewals.append(self.policy.renew_due)
        renewals += [partial(self.catalogs.renew_due, catalog.catalog_id) for catalog in catalogs]
        failed: HostError | None = None
        for renewal in renewals:
            try:
                renewal()
            except HostError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def renew_by_hand(self, kind: str, name: str = "", *, actor: str) -> CertificateRecord:
        """Renew an authority now, however long it is still valid; the old one stays in force until its end.

        ``kind`` is one of :data:`RENEWED`; ``name`` the chip maker of a silicon authority, or the catalog of a catalog
        or issuing authority.

        Raises:
            InvalidArgumentError: no such kind, a name where none belongs, or none where one does.
            NotFoundError: no such chip maker or catalog.
            ConflictError: the last renewal was too short a time ago.
            SignerError: a token that does not answer.
        """
        if kind not in RENEWED or bool(name) != (kind in NAMED):
            raise InvalidArgumentError(
                f"renewal of {kind!r:.20} {name!r:.60}: expected root or policy without a name, silicon with a chip "
                "maker, catalog or issuing with a catalog",
                remedy="See armillary authority renew --help.",
            )
        if kind in NAMED:
            by_name = {
                "silicon": self.silicon.renew,
                "catalog": self.catalogs.renew,
                "issuing": self.catalogs.renew_issuing,
            }
            return by_name[kind](name, actor=actor)
        made = self.roots.renew(actor=actor) if kind == "root" else self.policy.renew(actor=actor)
        self.server.renew_due()  # its file of roots
        return made

    def list_service(self) -> tuple[tuple[CertificateRecord, str], ...]:
        """The valid authorities of the service itself with their states, newest of each kind last.

        ``active`` signs now, ``next`` takes over later, ``old`` is trusted until its end.
        """
        now = self._context.now()
        found: list[tuple[CertificateRecord, str]] = []
        roots = self.roots.valid()
        groups = [(roots, serving_root(roots, now)), (self.issued.of_kind("policy"), self.policy.active())]
        groups += [(tuple(ones), ones[-1]) for _, ones in sorted(self.silicon.by_maker().items())]
        for purpose in KINDS:
            trusted, serial = self.signing.trusted(purpose), self.signing.signer(purpose).serial
            groups.append((trusted, next(one for one in trusted if one.serial == serial)))
        servers = self.issued.of_kind("server")
        groups.append((servers[-1:], servers[-1]))
        for records, active in groups:
            number = records.index(active)
            states = ["old"] * number + ["active"] + ["next"] * (len(records) - number - 1)
            found += [(one, state) for one, state in zip(records, states, strict=True) if one.not_after > now]
        return tuple(found)
