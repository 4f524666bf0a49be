# SPDX-License-Identifier: Apache-2.0
"""Signs exported metadata where the keys are: a folder or a token, away from the service. Imports ``tuf``.

::

    { "format": "armillary release metadata 1",
      "documents": [ { "role", "may_sign": [key id ...], "metadata": TUF metadata } ... ] }
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuf.api.serialization import DeserializationError

from armillary.errors import MetadataRefusedError
from armillary.service.repository.edition import kind_of, parse_metadata
from armillary.service.repository.tuf_format import KeySigner, to_bytes

FORMAT: Final = "armillary release metadata 1"
MAX_FILE_BYTES: Final = 8 << 20
_REMEDY: Final = "Export it again: armillary release keys export."


@dataclass(frozen=True, slots=True)
class Document:
    """Metadata of a role, and the ids of the keys whose signature it lacks or has."""

    role: str
    may_sign: tuple[str, ...]
    metadata: Mapping[str, Any]

    @property
    def content(self) -> bytes:
        """The metadata as a file."""
        return json.dumps(self.metadata).encode()

    @property
    def signed_by(self) -> frozenset[str]:
        """Ids of the keys whose signatures it has."""
        return frozenset(str(one["keyid"]) for one in self.metadata["signatures"])


def write_documents(documents: Sequence[Document]) -> bytes:
    """The file of documents."""
    found = [{"role": one.role, "may_sign": list(one.may_sign), "metadata": one.metadata} for one in documents]
    return json.dumps({"format": FORMAT, "documents": found}, indent=1).encode() + b"\n"


def read_documents(content: bytes) -> list[Document]:
    """The documents in a file; MetadataRefusedError if it is none."""
    try:
        whole = json.loads(content)
        found = [
            Document(str(one["role"]), tuple(map(str, one["may_sign"])), dict(one["metadata"]))
            for one in whole["documents"]
        ]
        of = str(whole["format"])
        for one in found:
            _ = one.signed_by
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MetadataRefusedError(f"expected exported metadata, got another file ({error})", remedy=_REMEDY) from error
    if of != FORMAT:
        raise MetadataRefusedError(f"expected the format {FORMAT!r}, got another file ({of!r:.60})", remedy=_REMEDY)
    return found


def sign_documents(documents: Sequence[Document], signers: Sequence[KeySigner]) -> tuple[list[Document], list[str]]:
    """The documents with the signatures of those keys that may sign each; and ``ROLE by KEY ID`` of each new one.

    Raises:
        MetadataRefusedError: a document is no metadata, or no key may sign any of them.
        SignerError: a token does not answer.
    """
    signed, made = [], []
    for one in documents:
        try:
            metadata = parse_metadata(one.content, kind_of(one.role))
        except DeserializationError as error:
            raise MetadataRefusedError(f"{one.role}: not TUF metadata ({error})", remedy=_REMEDY) from error
        for signer in signers:
            key_id = signer.public_key.keyid
            if key_id in one.may_sign and key_id not in metadata.signatures:
                metadata.sign(signer, append=True)
                made.append(f"{one.role} by {key_id}")
        signed.append(Document(one.role, one.may_sign, json.loads(to_bytes(metadata))))
    if not made:
        raise MetadataRefusedError(
            "none of these keys may sign what waits, or each has signed already",
            remedy="Use the keys that armillary release keys show lists for the role.",
        )
    return signed, made
