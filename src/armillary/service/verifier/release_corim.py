# SPDX-License-Identifier: Apache-2.0
"""Export and import of releases as CoRIM: our reference values for other verifiers, and others' for ours.

What a foreign file leaves open comes from the chip's profile and the caller (``service/verifier/corim_release.py``).
An imported release has reference values and no packages: devices made elsewhere are appraised with it, none are made
here. Whatever the CoRIM states beyond what a release keeps (signer, key, ids) goes into the audit log.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key

from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.authority.authority import Authority
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.verifier.corim_release import complete
from armillary.service.verifier.releases import Releases

if TYPE_CHECKING:
    from armillary.wire.attestation.corim import Corim


class _Believed(NamedTuple):
    """A CoRIM whose signature was verified, and its signer; without one where it is unsigned."""

    corim: Corim
    signer: str = ""
    signer_uri: str = ""
    key_id: str = ""


class ImportedRelease(NamedTuple):
    """A release made of a CoRIM, what of the file it does not keep, and what the file did not say."""

    release: OsRelease
    passed_over: tuple[str, ...]
    derived: tuple[str, ...]


class ReleaseCorims:
    """Export and import of releases as CoRIM. ``wire/attestation/corim.py`` is loaded when it is used: rarely."""

    def __init__(self, context: Context, authority: Authority, releases: Releases, chips: Chips) -> None:
        self._context = context
        self._authority = authority
        self._releases = releases
        self._chips = chips

    def export(self, release_id: UUID, *, signed: bool) -> bytes:
        """A release as CoRIM, signed with the OS signing key or not.

        Raises:
            NotFoundError: there is none of this id.
            ConflictError: it was withdrawn, which CoRIM cannot say.
        """
        from armillary.wire.attestation import corim, corim_fields  # noqa: PLC0415 - see the class

        release, host = self._releases.get(release_id), self._context.settings.public_host
        if release.withdrawn_at is not None:
            raise ConflictError(
                f"release {release.version} of {release.chip} was withdrawn, which a CoRIM cannot say",
                remedy="Export the release that replaces it.",
            )
        value = corim.Corim(
            corim_id=release.release_id,
            tag_id=release.release_id,
            chip=release.chip,
            os_version=release.version,
            components=tuple(
                corim_fields.ReferenceClaim(
                    component_id=one.component_id,
                    image_type=one.image_type,
                    layer=layer,
                    name=one.name,
                    image_id=one.image_id,
                    security_version=one.security_version,
                    digest=one.digest,
                )
                for layer, one in enumerate(release.components)
            ),
            entities=(corim_fields.Entity(name=host[: corim_fields.MAX_NAME_BYTES], roles=(0,)),),
            not_before=None if release.expires_at is None else release.created_at,
            not_after=release.expires_at,
        )
        if not signed:
            return corim.encode_corim(value)
        signer = self._authority.os_signer
        key_id = sha256(signer.certificate.public_bytes(Encoding.DER)).digest()
        return corim.sign_corim(value, signer.key, host, key_id=key_id)

    def take(
        self,
        data: bytes,
        *,
        actor: str,
        feed: str = "Retail",
        key_pem: str | None = None,
        allow_unsigned: bool = False,
        chip: str | None = None,
        version: str | None = None,
        security_version: int = 0,
        waived: frozenset[str] = frozenset(),
    ) -> ImportedRelease:
        """Make a release of the reference values in a CoRIM, unsigned or signed.

        ``key_pem`` is the signer's public key or certificate, PEM; the signed form needs it. On the operator's word
        alone an unsigned one is taken (``allow_unsigned``), fields are ignored (``waived``;
        ``wire/attestation/corim.py`` says which may be), and ``chip``, ``version`` and ``security_version`` stand for
        what the file does not say, or for another maker's model.

        Raises:
            WireError: not a CoRIM, one that does not fit, or not signed by that key.
            InvalidArgumentError: unsigned and not allowed, signed and no key, not valid now, no chip or version, or not
                the chip's chain.
            NotFoundError: no such chip.
            ConflictError: the chip has a release of this version.
        """
        given = self._believed(data, key_pem, waived, allow_unsigned=allow_unsigned)
        value, now = given.corim, self._context.now()
        if not (value.not_before or 0) <= now < (now + 1 if value.not_after is None else value.not_after):
            raise InvalidArgumentError(
                f"the CoRIM is valid from {value.not_before} to {value.not_after}, it is {now}",
                remedy="Import it when it is valid; times are Unix seconds UTC.",
            )
        found = complete(value, self._chips, chip=chip, version=version, security_version=security_version)
        release = OsRelease(
            release_id=uuid4(),
            chip=found.chip,
            version=found.version,
            feed=feed,
            components=found.components,
            created_at=now if value.not_before is None else value.not_before,
            expires_at=value.not_after,
            imported_from=f"CoRIM {value.corim_id}",
        )
        detail = {
            "corim_id": value.corim_id,
            "tag_id": value.tag_id,
            "entities": [{"name": one.name, "roles": list(one.roles), "uri": one.uri} for one in value.entities],
            "vendors": [one.vendor for one in value.components],
            "signer": given.signer,
            "signer_uri": given.signer_uri,
            "key_id": given.key_id,
            "sha256": sha256(data).hexdigest(),
            "passed_over": list(found.passed_over),
            "derived": list(found.derived),
        }
        made = self._releases.add(release, "release.import-corim", detail, actor=actor)
        return ImportedRelease(made, found.passed_over, found.derived)

    def _believed(self, data: bytes, key_pem: str | None, waived: frozenset[str], *, allow_unsigned: bool) -> _Believed:
        from armillary.wire.attestation import corim  # noqa: PLC0415 - see the class

        if not corim.is_signed(data):
            value = corim.parse_corim(data, waived=waived)
            if not allow_unsigned:
                raise InvalidArgumentError(
                    "the CoRIM is not signed: anybody can have written it",
                    remedy="Ask its publisher for a signed one, or say that you vouch for it: --allow-unsigned.",
                )
            return _Believed(value)
        unverified = corim.parse_signed_corim(data, waived=waived)
        envelope = unverified.envelope
        if key_pem is None:
            raise InvalidArgumentError(
                f"the CoRIM says that {envelope.signer!r} has signed it; whose key that is has to come from you",
                remedy="Give the signer's public key or certificate: --key FILE.",
            )
        value = corim.verify_signed_corim(unverified, _public_key(key_pem), now=self._context.now())
        return _Believed(value, envelope.signer, envelope.signer_uri or "", envelope.key_id.hex())


def _public_key(pem: str) -> ec.EllipticCurvePublicKey:
    data = pem.encode()
    try:
        certified = b"BEGIN CERTIFICATE" in data
        key = x509.load_pem_x509_certificate(data).public_key() if certified else load_pem_public_key(data)
    except ValueError as error:
        raise InvalidArgumentError("key: expected a public key or certificate in PEM", remedy="Export it.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise InvalidArgumentError("key: expected a P-256 key", remedy="CoRIMs are verified with ES256 only.")
    return key
