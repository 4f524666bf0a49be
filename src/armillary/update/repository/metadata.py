# SPDX-License-Identifier: Apache-2.0
"""Reads TUF metadata and verifies who signed it (TUF 1.0.34 §4 and "check for an arbitrary software attack" of §5).

Three types say how far a file was checked; a function that needs a check takes the type that has it:

* :class:`UnverifiedMetadata`: the bytes are metadata of the expected kind; anybody may have written them.
* :class:`Verified`: as many of its role's keys signed them as the role's threshold asks, by the word of its delegator.
* :class:`Current`: besides, they are in force in this refresh: not expired, and of the version that is announced.

What is stricter here than in the ``tuf`` package: a key counts once towards a threshold, under however many ids it is
listed; numbers are integers; only keys that are verified without another program count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError as BadSignatureError
from securesystemslib.signer import Key, Signature, SSlibKey
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError, SerializationError

from armillary.errors import ExpiredMetadataError, MetadataFormatError, UnsignedMetadataError

Document = TypeVar("Document", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class UnverifiedMetadata(Generic[Document]):
    """Metadata of a role as a source gave it."""

    role: str
    data: bytes  # As received
    signed: Document
    payload: bytes  # What the signatures are over: ``signed`` as canonical JSON (§4.2.1)
    signatures: Mapping[str, Signature]  # By key id


@dataclass(frozen=True, slots=True)
class Verified(Generic[Document]):
    """Metadata that a threshold of its role's keys signed."""

    role: str
    data: bytes  # As received: hashes in other metadata are over these bytes
    signed: Document


@dataclass(frozen=True, slots=True)
class Current(Verified[Document]):
    """Verified metadata that is in force in this refresh."""


def read(kind: type[Document], data: bytes, *, role: str) -> UnverifiedMetadata[Document]:
    """Read a metadata file; MetadataFormatError if it is none, or of another kind than its role has."""
    try:
        metadata = Metadata[Document].from_bytes(data)
        payload = metadata.signed_bytes
    except (DeserializationError, SerializationError) as error:
        cause = error.__cause__
        raise MetadataFormatError(f"metadata of role {role!r}: expected TUF metadata, got {cause or error}") from error
    signed = metadata.signed
    if not isinstance(signed, kind):
        raise MetadataFormatError(f"metadata of role {role!r}: expected type {kind.type}, got {signed.type}")
    _check_numbers(role, signed)
    return UnverifiedMetadata(role, data, signed, payload, dict(metadata.signatures))


def verify(unverified: UnverifiedMetadata[Document], delegator: Root | Targets) -> Verified[Document]:
    """The metadata, signed by a threshold of the keys that ``delegator`` gives its role.

    Raises:
        UnsignedMetadataError: too few of them signed, or the delegator does not know the role.
    """
    try:
        role = delegator.get_delegated_role(unverified.role)
    except ValueError:
        raise UnsignedMetadataError(f"role {unverified.role!r}: nobody who may delegate to it does") from None
    signers: set[bytes] = set()
    for key_id in role.keyids:
        signature = unverified.signatures.get(key_id)
        key = _key(delegator, key_id)
        if signature is None or key is None:
            continue
        try:
            key.verify_signature(signature, unverified.payload)
        except BadSignatureError:
            continue  # the threshold decides: one bad signature beside enough good ones does no harm
        signers.add(_identity(key))
    if len(signers) < role.threshold:
        raise UnsignedMetadataError(
            f"role {unverified.role!r} version {unverified.signed.version}: "
            f"expected signatures of {role.threshold} of its {len(role.keyids)} keys, got {len(signers)}"
        )
    return Verified(unverified.role, unverified.data, unverified.signed)


def in_force(verified: Verified[Document], *, now: int) -> Current[Document]:
    """The metadata if it has not expired at ``now``, Unix seconds; ExpiredMetadataError otherwise."""
    expires = verified.signed.expires
    if expires <= datetime.fromtimestamp(now, UTC):
        raise ExpiredMetadataError(
            f"role {verified.role!r} version {verified.signed.version} expired at {expires:%Y-%m-%dT%H:%M:%SZ}; "
            f"it is {datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}"
        )
    return Current(verified.role, verified.data, verified.signed)


def keys_of(delegator: Root | Targets, role: str) -> Mapping[bytes, SSlibKey]:
    """The keys that a delegator gives a role, each once: by its public key, DER; none for a role it does not know."""
    try:
        key_ids = delegator.get_delegated_role(role).keyids
    except ValueError:
        return {}
    keys = (_key(delegator, key_id) for key_id in key_ids)
    return {identity: key for key in keys if key is not None and (identity := _identity(key))}


def _key(delegator: Root | Targets, key_id: str) -> SSlibKey | None:
    """A key by its id; None for one that is not listed, or of a kind that could not be verified here and now."""
    try:
        key: Key = delegator.get_key(key_id)
    except ValueError:
        return None
    return key if isinstance(key, SSlibKey) else None


def _identity(key: SSlibKey) -> bytes:
    """The public key itself, one spelling for each: two ids for one key are one signer. Empty if it cannot be read."""
    public: str = key.keyval["public"]
    try:
        if key.keytype == "ed25519":
            return bytes.fromhex(public)
        return load_pem_public_key(public.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        return b""


def _check_numbers(role: str, signed: Root | Timestamp | Snapshot | Targets) -> None:
    """MetadataFormatError for a version, threshold or length that is no integer: JSON also has ``true`` and 1.0."""
    numbers: list[object] = [signed.version]
    roles: list[Role] = []
    files: list[MetaFile] = []
    if isinstance(signed, Root):
        roles += signed.roles.values()
    elif isinstance(signed, Timestamp):
        files.append(signed.snapshot_meta)
    elif isinstance(signed, Snapshot):
        files += signed.meta.values()
    else:
        numbers += [target.length for target in signed.targets.values()]
        if signed.delegations is not None:
            roles += (signed.delegations.roles or {}).values()
            if signed.delegations.succinct_roles is not None:
                roles.append(signed.delegations.succinct_roles)
    numbers += [each.threshold for each in roles]
    numbers += [number for file in files for number in (file.version, file.length) if number is not None]
    for number in numbers:
        if type(number) is not int:
            raise MetadataFormatError(f"metadata of role {role!r}: expected an integer, got {number!r}")
