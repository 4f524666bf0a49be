# SPDX-License-Identifier: Apache-2.0
"""The TPM 2.0 commands that a device needs, through tpm2-pytss (the extra ``tpm2``), imported at its first use.

Every object is loaded for one task and flushed after it: a TPM holds only three objects and few sessions. Both device
keys are children of the storage primary key, which a TPM makes again in milliseconds from its own seed, without a
persistent handle. The endorsement hierarchy is not used after enrolment; TPM2_Clear ends the identity, as it should.

Specification: TCG TPM 2.0 Library, Part 3 (commands); TCG EK Credential Profile, annex B (templates L-1, L-2), and
§2.2.1.4 (NV indices of EK certificates).
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from armillary.engines.root_of_trust.tpm_memory import NvMemory
from armillary.errors import RootOfTrustError
from armillary.wire.attestation.tpm_attestation import BOOT_PCR
from armillary.wire.attestation.tpm_public import (
    ADMIN_WITH_POLICY,
    ALG_AES,
    ALG_CFB,
    ALG_ECC,
    ALG_NULL,
    ALG_RSA,
    ALG_SHA256,
    CURVE_P256,
    DECRYPT,
    FIXED_PARENT,
    FIXED_TPM,
    NO_DA,
    RESTRICTED,
    SENSITIVE_DATA_ORIGIN,
    USER_WITH_AUTH,
    encode_signing_key,
)
from armillary.wire.attestation.tpm_structure import sized

PACKAGES: Final = "sudo apt-get install libtss2-dev tpm2-openssl gcc pkg-config"
EXTRA: Final = "pip install 'armillary[tpm2]'"

# EK certificates and the templates they are for: P-256 (L-2) before RSA-2048 (L-1), whose key an old TPM makes slowly.
EC_CERTIFICATE: Final = 0x01C0_000A
RSA_CERTIFICATE: Final = 0x01C0_0002

_KEPT: Final = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN
_AES_128_CFB: Final = struct.pack(">HHH", ALG_AES, 128, ALG_CFB)
_EK_POLICY: Final = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")

# The storage primary key, in the very form in which tpm2-openssl makes the parent 0x40000001 of a key file.
STORAGE_TEMPLATE: Final = sized(
    struct.pack(">HHI", ALG_ECC, ALG_SHA256, _KEPT | USER_WITH_AUTH | NO_DA | RESTRICTED | DECRYPT)
    + sized(b"")
    + _AES_128_CFB
    + struct.pack(">HHH", ALG_NULL, CURVE_P256, ALG_NULL)
    + sized(b"")
    + sized(b"")
)
_EK_HEAD: Final = struct.pack(">HI", ALG_SHA256, _KEPT | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT) + sized(_EK_POLICY)
EC_TEMPLATE: Final = sized(
    struct.pack(">H", ALG_ECC)
    + _EK_HEAD
    + _AES_128_CFB
    + struct.pack(">HHH", ALG_NULL, CURVE_P256, ALG_NULL)
    + 2 * sized(bytes(32))
)
RSA_TEMPLATE: Final = sized(
    struct.pack(">H", ALG_RSA) + _EK_HEAD + _AES_128_CFB + struct.pack(">HHI", ALG_NULL, 2048, 0) + sized(bytes(256))
)


class Key:
    """A key wrapped by the TPM's storage primary key: the private part is of use to that TPM alone.

    Attributes:
        public: TPM2B_PUBLIC.
        private: TPM2B_PRIVATE, encrypted by the TPM.
    """

    __slots__ = ("private", "public")

    def __init__(self, public: bytes, private: bytes) -> None:
        self.public, self.private = public, private


@contextlib.contextmanager
def connect(tcti: str) -> Iterator[Commands]:
    """Open a connection to a TPM, such as ``device:/dev/tpmrm0`` or ``swtpm:host=127.0.0.1,port=2321``, for the block.

    Raises:
        RootOfTrustError: tpm2-pytss is missing, the TPM cannot be reached, or it refuses a command.
    """
    pytss = _library()
    try:
        with pytss.ESAPI(tcti) as esapi:
            yield Commands(pytss, esapi)
    except pytss.TSS2_Exception as error:
        raise RootOfTrustError(
            f"TPM {tcti}: {error} ({error.rc:#x})",
            remedy="Check that the TPM answers and that you may use it (group tss for /dev/tpmrm0): tpm2_getrandom 4.",
        ) from error


def _library() -> Any:
    os.environ.setdefault("TSS2_LOG", "all+NONE")  # its words on stderr repeat what the exception says
    try:
        import tpm2_pytss  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise RootOfTrustError(
            "root of trust tpm2: the Python package tpm2-pytss or the TSS libraries under it are missing",
            remedy=f"{PACKAGES}; then {EXTRA}.",
        ) from error
    return tpm2_pytss


class Commands:
    """One connection. Use :func:`connect`."""

    def __init__(self, pytss: Any, esapi: Any) -> None:
        self._pytss, self._esapi = pytss, esapi
        self.nv = NvMemory(pytss, esapi)
        # Said in full what newer versions of tpm2-pytss would assume: Debian 13 has 2.3.
        self._null_scheme = pytss.TPMT_SIG_SCHEME(scheme=pytss.TPM2_ALG.NULL)
        self._no_ticket = pytss.TPMT_TK_HASHCHECK(tag=pytss.TPM2_ST.HASHCHECK, hierarchy=pytss.TPM2_RH.NULL)
        self._not_encrypted = pytss.TPMT_SYM_DEF(algorithm=pytss.TPM2_ALG.NULL)

    # -- keys -----------------------------------------------------------------------------------------------------

    def create_key(self, *, restricted: bool) -> Key:
        """A new P-256 signing key that the TPM makes and never gives out."""
        with self._primary(STORAGE_TEMPLATE, self._pytss.ESYS_TR.OWNER) as parent:
            template = self._public(encode_signing_key(bytes(64), restricted=restricted))
            private, public, *_ = self._esapi.create(parent, None, template)
        return Key(public.marshal(), private.marshal())

    def sign(self, key: Key, digest: bytes) -> bytes:
        """TPMT_SIGNATURE of an identity key over a SHA-256."""
        with self._loaded(key) as (handle,):
            return bytes(self._esapi.sign(handle, digest, self._null_scheme, self._no_ticket).marshal())

    def certify(self, key: Key, by: Key, nonce: bytes) -> tuple[bytes, bytes]:
        """TPMS_ATTEST and TPMT_SIGNATURE of ``by`` over the name of ``key``."""
        with self._loaded(key, by) as (handle, signer):
            attest, signature = self._esapi.certify(handle, signer, nonce, self._null_scheme)
            return bytes(attest), bytes(signature.marshal())

    def quote(self, by: Key, nonce: bytes, pcrs: Sequence[int] = (BOOT_PCR,)) -> tuple[bytes, bytes]:
        """TPMS_ATTEST and TPMT_SIGNATURE of ``by`` over ``pcrs`` of the SHA-256 bank."""
        chosen = f"sha256:{','.join(map(str, pcrs))}"
        with self._loaded(by) as (signer,):
            attest, signature = self._esapi.quote(signer, chosen, nonce, self._null_scheme)
            return bytes(attest), bytes(signature.marshal())

    # -- endorsement ----------------------------------------------------------------------------------------------

    def endorsement_certificate(self) -> bytes:
        """DER of the maker's certificate.

        Raises:
            RootOfTrustError: the TPM holds none for a P-256 or RSA-2048 key.
        """
        for index in (EC_CERTIFICATE, RSA_CERTIFICATE):
            if self.nv.exists(index):
                return _without_padding(self.nv.read(index))
        raise RootOfTrustError(
            "the TPM holds no endorsement certificate for a P-256 or RSA-2048 key",
            remedy="Fetch it from the TPM's maker and write it to NV index 0x01c00002, or use a TPM that has one.",
        )

    def activate(self, key: Key, blob: bytes, encrypted_seed: bytes) -> bytes:
        """The secret of a credential for ``key``'s name (TPM2_ActivateCredential)."""
        pytss, esapi = self._pytss, self._esapi
        template = EC_TEMPLATE if self.nv.exists(EC_CERTIFICATE) else RSA_TEMPLATE
        with self._primary(template, pytss.ESYS_TR.ENDORSEMENT) as endorsement, self._loaded(key) as (handle,):
            session = esapi.start_auth_session(
                pytss.ESYS_TR.NONE,
                pytss.ESYS_TR.NONE,
                pytss.TPM2_SE.POLICY,
                self._not_encrypted,
                pytss.TPM2_ALG.SHA256,
            )
            try:
                esapi.policy_secret(pytss.ESYS_TR.ENDORSEMENT, session, b"", b"", b"", 0)
                secret = esapi.activate_credential(
                    handle,
                    endorsement,
                    pytss.TPM2B_ID_OBJECT.unmarshal(blob)[0],
                    pytss.TPM2B_ENCRYPTED_SECRET.unmarshal(encrypted_seed)[0],
                    session2=session,
                )
            finally:
                esapi.flush_context(session)
        return bytes(secret)

    # -- boot measurements ------------------------------------------------------------------------

    def pcr_values(self, pcrs: Sequence[int]) -> list[bytes]:
        """Values of at most 8 PCRs of the SHA-256 bank, ascending; empty where the TPM has no such bank."""
        _, _, digests = self._esapi.pcr_read(f"sha256:{','.join(map(str, pcrs))}")
        return [bytes(digest) for digest in digests]

    def measure(self, digests: Sequence[bytes]) -> None:
        """Set the boot PCR to zeros, then extend it with each digest (SHA-256 bank)."""
        pcr = self._pytss.ESYS_TR.PCR23
        self._esapi.pcr_reset(pcr)
        for digest in digests:
            values = self._pytss.TPML_DIGEST_VALUES(
                [self._pytss.TPMT_HA(hashAlg=ALG_SHA256, digest=self._pytss.TPMU_HA(sha256=digest))]
            )
            self._esapi.pcr_extend(pcr, values)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _public(self, data: bytes) -> Any:
        return self._pytss.TPM2B_PUBLIC.unmarshal(data)[0]

    @contextlib.contextmanager
    def _primary(self, template: bytes, hierarchy: Any) -> Iterator[Any]:
        handle, *_ = self._esapi.create_primary(None, self._public(template), hierarchy)
        try:
            yield handle
        finally:
            self._esapi.flush_context(handle)

    @contextlib.contextmanager
    def _loaded(self, *keys: Key) -> Iterator[tuple[Any, ...]]:
        """The keys' handles; their parent is loaded only while they are being loaded."""
        handles: list[Any] = []
        try:
            with self._primary(STORAGE_TEMPLATE, self._pytss.ESYS_TR.OWNER) as parent:
                for key in keys:
                    private = self._pytss.TPM2B_PRIVATE.unmarshal(key.private)[0]
                    handles.append(self._esapi.load(parent, private, self._public(key.public)))
            yield tuple(handles)
        finally:
            for handle in handles:
                self._esapi.flush_context(handle)


def _without_padding(certificate: bytes) -> bytes:
    """Some makers fill the NV index up after the DER; its own length says where it ends."""
    if certificate[:2] == b"\x30\x82":
        return certificate[: 4 + int.from_bytes(certificate[2:4], "big")]
    return certificate
