# SPDX-License-Identifier: Apache-2.0
"""The contract of a signer, and a signer as a private key for certificate builders."""

from __future__ import annotations

from typing import Any, Final, NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

HASHES: Final[dict[str, type[hashes.SHA256 | hashes.SHA384]]] = {
    "secp256r1": hashes.SHA256,  # RFC 5480 §4: a hash as long as the curve
    "secp384r1": hashes.SHA384,
}


class Signer(Protocol):
    """One private key, in memory or in a token."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Its public half, on P-256 or P-384."""

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature over a message with the hash of the key's curve, DER (RFC 3279 §2.2.3).

        Raises:
            SignerError: the token does not answer.
        """


class SignerKey(ec.EllipticCurvePrivateKey):
    """A signer as the private key that ``cryptography``'s certificate builders take; it can only sign."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def __repr__(self) -> str:
        return f"SignerKey({self._signer!r})"

    def __copy__(self) -> SignerKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SignerKey:
        return self

    @property
    def curve(self) -> ec.EllipticCurve:
        """The key's curve."""
        return self._signer.public_key.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve."""
        return self.curve.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._signer.public_key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign ``data``.

        Raises:
            ValueError: a hash that is not the curve's.
            SignerError: the token does not answer.
        """
        wanted = HASHES[self.curve.name]
        if not isinstance(signature_algorithm.algorithm, wanted):
            raise ValueError(f"{self.curve.name}: {wanted.name} expected")  # noqa: TRY004 - a value of the right type
        return self._signer.sign(bytes(data))

    def exchange(self, *_: object, **__: object) -> NoReturn:
        """Refused."""
        raise TypeError("a signer exchanges no keys")

    def private_numbers(self) -> NoReturn:
        """Refused: the key cannot be read."""
        raise TypeError("a signer does not give its key away")

    def private_bytes(self, *_: object, **__: object) -> NoReturn:
        """Refused: the key cannot be read."""
        raise TypeError("a signer does not give its key away")
