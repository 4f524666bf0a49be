# SPDX-License-Identifier: Apache-2.0
"""People with keys: what is signed away from the service."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from armillary.service.repository.ceremony import Ceremony
from armillary.service.repository.offline import Document, sign_documents
from armillary.service.repository.tuf_format import KeySigner, key_of


def new_key() -> KeySigner:
    key = ec.generate_private_key(ec.SECP256R1())
    return KeySigner(key, key_of(key.public_key()))


def pem(signer: KeySigner) -> str:
    return signer._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def exported(ceremony: Ceremony) -> list[Document]:
    return [Document(one.role, one.may_sign, json.loads(one.document)) for one in ceremony.waiting()]


def signatures(ceremony: Ceremony, signers: Sequence[KeySigner]) -> dict[str, bytes]:
    """What these people bring back: the documents that one of them may sign."""
    signed, made = sign_documents(exported(ceremony), signers)
    roles = {line.partition(" ")[0] for line in made}
    return {one.role: one.content for one in signed if one.role in roles}
