# SPDX-License-Identifier: Apache-2.0
"""Checks a file against the length and the hashes that signed metadata gives for it, all at once or as it arrives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from armillary.errors import MismatchError

# Hashes that count. Others are ignored; a file with none of these is refused.
HASHES = ("sha256", "sha512")


class FileCheck:
    """Checks the bytes of one file as they arrive; ``length`` None where the metadata gives none.

    Without ``hashes`` (metadata need not give them for other metadata) only the length is checked.

    Raises:
        MismatchError: there are hashes, and none that this client knows.
    """

    def __init__(self, name: str, *, length: int | None, hashes: Mapping[str, str] | None) -> None:
        self._name = name
        self._length = length
        self._wanted = {word: (hashes or {})[word] for word in HASHES if word in (hashes or {})}
        if hashes and not self._wanted:
            raise MismatchError(f"{name}: expected a hash of {' or '.join(HASHES)}, got {', '.join(sorted(hashes))}")
        self._digests = {word: hashlib.new(word) for word in self._wanted}
        self.received = 0  # Bytes so far

    def update(self, data: bytes) -> bytes:
        """The next bytes, checked so far: not more than the length in all; MismatchError otherwise."""
        self.received += len(data)
        if self._length is not None and self.received > self._length:
            raise MismatchError(f"{self._name}: expected {self._length} bytes, got more")
        for digest in self._digests.values():
            digest.update(data)
        return data

    def finish(self) -> None:
        """Raise MismatchError unless exactly the file arrived."""
        if self._length is not None and self.received != self._length:
            raise MismatchError(f"{self._name}: expected {self._length} bytes, got {self.received}")
        for word, digest in self._digests.items():
            if digest.hexdigest() != self._wanted[word]:
                raise MismatchError(f"{self._name}: expected {word} {self._wanted[word]}, got {digest.hexdigest()}")


def check_file(name: str, data: bytes, *, length: int | None, hashes: Mapping[str, str] | None) -> bytes:
    """``data``, if it is the file that metadata describe; MismatchError otherwise."""
    check = FileCheck(name, length=length, hashes=hashes)
    check.update(data)
    check.finish()
    return data
