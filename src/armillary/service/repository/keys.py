# SPDX-License-Identifier: Apache-2.0
"""The private keys of the repository's roles that this service holds: the online ones.

Each is in the service's key store, encrypted at rest or in its token, under ``tuf-ROLE-NUMBER``. A key is online when
it is here; an offline key is one of which only the public half is in the metadata.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import SSlibKey

from armillary.errors import SignerError
from armillary.service.authority.key_store import KeyStore
from armillary.service.repository.tuf_format import KeySigner, key_of

KEY_PREFIX: Final = "tuf-"


class RepositoryKeys:
    """The online keys, by TUF key id. Thread-safe."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._signers: dict[str, tuple[str, KeySigner]] = {}
        self._seen: set[str] = set()

    def create(self, role: str) -> SSlibKey:
        """Make a P-256 key for a role.

        Raises:
            DataFolderError: the disk refuses.
            SignerError: the token refuses.
        """
        with self._lock:
            start = f"{KEY_PREFIX}{role}-"
            taken = {name.removeprefix(start) for name in self._store.names(start)}
            number = max((int(text) for text in taken if text.isdecimal()), default=0) + 1
            name = f"{start}{number}"
            return self._know(name, self._store.create(name, ec.SECP256R1()))

    def signers(self, role: str, key_ids: Collection[str]) -> list[KeySigner]:
        """Signers for those of ``key_ids``, which are keys of ``role``, that are here and answer."""
        with self._lock:
            if any(key_id not in self._signers for key_id in key_ids):
                self._look(role)
            return [self._signers[key_id][1] for key_id in key_ids if key_id in self._signers]

    def online(self, role: str, key_ids: Collection[str]) -> frozenset[str]:
        """Those of ``key_ids`` that are here."""
        return frozenset(signer.public_key.keyid for signer in self.signers(role, key_ids))

    def remove(self, role: str, key_ids: Collection[str]) -> None:
        """Delete private keys that a role no longer has."""
        for key_id in self.online(role, key_ids):
            with self._lock:
                name, _ = self._signers.pop(key_id)
                self._store.remove(name)

    def _look(self, role: str) -> None:
        for name in self._store.names(f"{KEY_PREFIX}{role}-"):
            if name not in self._seen:
                # What a token that is away would sign waits for it; everything else is renewed meanwhile.
                with contextlib.suppress(SignerError):
                    self._know(name, self._store.load(name))

    def _know(self, name: str, private: ec.EllipticCurvePrivateKey) -> SSlibKey:
        public = key_of(private.public_key())
        self._signers[public.keyid] = (name, KeySigner(private, public))
        self._seen.add(name)
        return public
