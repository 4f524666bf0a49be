# SPDX-License-Identifier: Apache-2.0
"""Endorsement key certificates: the TPM maker's statement that a key is in a genuine TPM of its make.

The chain is checked up to roots that the operator chose, each one a maker he trusts to have built real TPMs; there is
no built-in list. A root of a TPM *emulator* is as good as any other here: who trusts one gives hardware's name to
software.

Specification: TCG EK Credential Profile for TPM Family 2.0, §3.2 (certificate fields); RFC 5280 (path validation, done
by ``cryptography``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ObjectIdentifier

from armillary.errors import SignatureError, WireError
from armillary.wire.attestation.tpm_public import PublicKey

EK_CERTIFICATE: Final = ObjectIdentifier("2.23.133.8.1")  # tcg-kp-EKCertificate
TPM_MANUFACTURER: Final = ObjectIdentifier("2.23.133.2.1")
TPM_MODEL: Final = ObjectIdentifier("2.23.133.2.2")

MAX_CERTIFICATE_BYTES: Final = 4096  # usual are 0.8 to 1.5 KiB
MAX_INTERMEDIATES: Final = 4

_WHAT: Final = "endorsement certificate"
_ADD_ROOT: Final = "Add the maker's root to the folder tpm-roots in the service's data folder, or use a genuine TPM."
_EITHER: Final = verification.Criticality.AGNOSTIC


@dataclass(frozen=True, slots=True)
class EndorsementCertificate:
    """What a certificate that leads to a trusted root says.

    Attributes:
        key: The endorsement key, RSA-2048 or P-256.
        manufacturer: As the maker wrote it, such as ``id:00001014``.
    """

    key: PublicKey = field(compare=False, repr=False)
    manufacturer: str
    model: str


def verify_endorsement_certificate(
    certificate: bytes, intermediates: Sequence[bytes], roots: Sequence[x509.Certificate], *, now: int
) -> EndorsementCertificate:
    """Check an EK certificate.

    Args:
        certificate: DER.
        intermediates: DER, in any order, at most :data:`MAX_INTERMEDIATES`.
        roots: Certificates of the TPM makers the operator trusts.
        now: Unix seconds UTC.

    Raises:
        WireError: malformed, oversized, or the key is of another kind.
        SignatureError: it does not lead to one of the roots, is not valid now, or is no EK certificate.
    """
    if not roots:
        raise SignatureError(
            _WHAT, expected="a root that this service trusts", got="no trusted root at all", remedy=_ADD_ROOT
        )
    if len(intermediates) > MAX_INTERMEDIATES:
        raise WireError(_WHAT, expected=f"at most {MAX_INTERMEDIATES} intermediates", got=f"{len(intermediates)}")
    leaf = _load(certificate)
    builder = verification.PolicyBuilder().store(verification.Store(list(roots)))
    builder = builder.time(dt.datetime.fromtimestamp(now, dt.UTC))
    builder = builder.extension_policies(ca_policy=_authority_policy(), ee_policy=_leaf_policy())
    try:
        builder.build_client_verifier().verify(leaf, [_load(one) for one in intermediates])
    except verification.VerificationError as error:
        raise SignatureError(
            _WHAT,
            expected="an EK certificate that leads to a trusted TPM maker's root and is valid now",
            got=f"{error}"[:200],
            remedy=_ADD_ROOT,
        ) from error
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048:
        return _described(leaf, key)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return _described(leaf, key)
    raise WireError(_WHAT, expected="an RSA-2048 or P-256 key", got=type(key).__name__)


def _load(data: bytes) -> x509.Certificate:
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise WireError(_WHAT, expected=f"at most {MAX_CERTIFICATE_BYTES} bytes", got=f"{len(data)} bytes")
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise WireError(_WHAT, expected="an X.509 certificate in DER", got=f"{error}"[:120]) from error


def _described(leaf: x509.Certificate, key: PublicKey) -> EndorsementCertificate:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (directory,) = names.get_values_for_type(x509.DirectoryName)
    found = {attribute.oid: str(attribute.value) for attribute in directory}
    return EndorsementCertificate(key, found[TPM_MANUFACTURER][:64], found.get(TPM_MODEL, "")[:64])


def _leaf_policy() -> verification.ExtensionPolicy:
    policy = verification.ExtensionPolicy.permit_all()
    policy = policy.require_present(x509.SubjectAlternativeName, _EITHER, _check_names)
    policy = policy.require_present(x509.ExtendedKeyUsage, _EITHER, _check_usage)
    policy = policy.may_be_present(x509.KeyUsage, _EITHER, None)
    return policy.require_present(x509.BasicConstraints, _EITHER, _check_no_authority)


def _authority_policy() -> verification.ExtensionPolicy:
    policy = verification.ExtensionPolicy.permit_all()
    policy = policy.require_present(x509.BasicConstraints, _EITHER, _check_authority)
    return policy.require_present(x509.KeyUsage, _EITHER, _check_signs)


def _check_names(
    policy: verification.Policy, certificate: x509.Certificate, names: x509.SubjectAlternativeName
) -> None:
    del policy, certificate
    directories = names.get_values_for_type(x509.DirectoryName)
    if len(directories) != 1 or not directories[0].get_attributes_for_oid(TPM_MANUFACTURER):
        raise ValueError("the subject alternative name lacks the TPM's manufacturer")


def _check_usage(policy: verification.Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
    del policy, certificate
    if EK_CERTIFICATE not in usage:
        raise ValueError("the extended key usage lacks tcg-kp-EKCertificate (2.23.133.8.1)")


def _check_no_authority(
    policy: verification.Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints
) -> None:
    del policy, certificate
    if constraints.ca:
        raise ValueError("a certificate authority is no endorsement key")


def _check_authority(
    policy: verification.Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints
) -> None:
    del policy, certificate
    if not constraints.ca:
        raise ValueError("an issuer is not a certificate authority")


def _check_signs(policy: verification.Policy, certificate: x509.Certificate, usage: x509.KeyUsage) -> None:
    del policy, certificate
    if not usage.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")
