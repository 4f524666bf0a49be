# SPDX-License-Identifier: Apache-2.0
"""Keys in a PKCS #11 token (an HSM), through its module and python-pkcs11 (the extra ``pkcs11``).

A key is made in the token, sensitive and not extractable. A reference file ``NAME.p11.json`` in the keys folder has the
random CKA_ID that it was made with. It is written after the key was made, so an interruption leaves at most a key in
the token without a reference. The token is opened at its first use, not at start, so check-ins go on while it is
absent. Signatures are CKM_ECDSA over a hash that is computed here, which every token with elliptic curves supports.

Modules are called in a thread of their own. Many use OpenSSL, as Python's ``ssl`` does. OpenSSL keeps errors for
each thread, and SoftHSM leaves some where nothing failed: the thread's next TLS connection would end with them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from armillary.engines.durable import write_file
from armillary.engines.signer.access import read_secret
from armillary.engines.signer.port import HASHES
from armillary.errors import DataFolderError, SignerError

REFERENCE_SUFFIX: Final = ".p11.json"
ID_BYTES: Final = 20
MAX_PIN_BYTES: Final = 256
CURVES: Final[dict[str, ec.EllipticCurve]] = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """Which token, and its PIN."""

    module: Path  # The token maker's PKCS #11 library
    token: str  # Its label
    pin_file: Path  # File with the user PIN, readable by its owner only

    def pin(self) -> str:
        """The PIN.

        Raises:
            SignerError: no file, one that others can read or own, or an empty one.
        """
        pin = read_secret(self.pin_file, MAX_PIN_BYTES, SignerError, f"Own it and chmod 600 {self.pin_file}.")
        if not 0 < len(pin.encode()) <= MAX_PIN_BYTES:
            raise SignerError(f"{self.pin_file}: expected a PIN of 1 to {MAX_PIN_BYTES} bytes")
        return pin


class TokenSigner:
    """One key in a token."""

    def __init__(self, tokens: TokenSigners, key_id: bytes, public_key: ec.EllipticCurvePublicKey) -> None:
        self._tokens = tokens
        self._id = key_id
        self._public_key = public_key
        self._hash = HASHES[public_key.curve.name]

    def __repr__(self) -> str:
        return f"TokenSigner({self._id.hex()})"

    @property
    def key_id(self) -> bytes:
        """Its CKA_ID."""
        return self._id

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """As it was read when the key was loaded."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Sign in the token.

        Raises:
            SignerError: it does not answer.
        """
        digest = hashes.Hash(self._hash())
        digest.update(message)
        raw = self._tokens.sign_digest(self._id, digest.finalize())
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


class TokenSigners:
    """The keys of one service in one token; their references are in ``folder``.

    Thread-safe: one session in one thread.
    """

    def __init__(self, folder: Path, address: TokenAddress) -> None:
        self._folder = folder
        self._address = address
        self._session: Any = None
        self._refused_pin = b""  # SHA-256 of the last one: tokens lock themselves after a few wrong ones
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pkcs11")

    def __repr__(self) -> str:
        return f"TokenSigners({self._address.token!r} by {self._address.module})"

    def has(self, name: str) -> bool:
        """Whether the key of this name is in the token, as far as the folder knows."""
        return self._reference(name).exists()

    def create(self, name: str, curve: ec.EllipticCurve) -> TokenSigner:
        """Make a key in the token, then its reference.

        Raises:
            SignerError: the token does not answer or refuses.
            DataFolderError: the reference cannot be written; the key stays in the token without one.
        """
        key_id = os.urandom(ID_BYTES)

        def make(pkcs11: ModuleType, session: Any) -> None:
            from pkcs11.util.ec import encode_named_curve_parameters  # noqa: PLC0415 - an extra; see _library

            attribute = pkcs11.Attribute
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC, {attribute.EC_PARAMS: encode_named_curve_parameters(curve.name)}, local=True
            )
            parameters.generate_keypair(
                id=key_id,
                label=f"armillary {name}",
                store=True,
                capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
                private_template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
            )

        self._use(make)
        signer = TokenSigner(self, key_id, self._public_key(key_id))
        document = {"token": self._address.token, "id": key_id.hex()}
        write_file(self._reference(name), json.dumps(document).encode() + b"\n", mode=0o600)
        return signer

    def load(self, name: str) -> TokenSigner:
        """A key that was made before.

        Raises:
            SignerError: the token does not answer, is another one, or has lost the key.
            DataFolderError: the reference is missing or damaged.
        """
        path = self._reference(name)
        try:
            document = json.loads(path.read_bytes())
            token, key_id = str(document["token"]), bytes.fromhex(document["id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFolderError(
                f"{path} cannot be read ({error})", remedy="Restore the keys folder from a backup."
            ) from error
        if token != self._address.token:
            raise SignerError(f"the key {name} is in the token {token!r}, the settings name {self._address.token!r}")
        return TokenSigner(self, key_id, self._public_key(key_id))

    def names(self, start: str) -> list[str]:
        """The names of keys that begin with ``start``, sorted."""
        found = self._folder.glob(f"{start}*{REFERENCE_SUFFIX}")
        return sorted(path.name.removesuffix(REFERENCE_SUFFIX) for path in found)

    def remove(self, name: str) -> None:
        """Delete a key in the token, then its reference.

        Raises:
            SignerError: the token does not answer or refuses.
            DataFolderError: the reference is missing or damaged.
        """
        key_id = self.load(name).key_id

        def destroy(pkcs11: ModuleType, session: Any) -> None:
            for kind in (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY):
                session.get_key(object_class=kind, id=key_id).destroy()

        self._use(destroy)
        self._reference(name).unlink(missing_ok=True)

    def sign_digest(self, key_id: bytes, digest: bytes) -> bytes:
        """The numbers r and s, one after the other.

        Raises:
            SignerError: the token does not answer, or has lost the key.
        """

        def sign(pkcs11: ModuleType, session: Any) -> bytes:
            key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=key_id)
            return bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))

        return self._use(sign)

    def close(self) -> None:
        """Log out."""
        self._thread.submit(self._log_out).result()

    def _log_out(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _public_key(self, key_id: bytes) -> ec.EllipticCurvePublicKey:
        def read(pkcs11: ModuleType, session: Any) -> tuple[bytes, bytes]:
            key = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, id=key_id)
            return bytes(key[pkcs11.Attribute.EC_PARAMS]), bytes(key[pkcs11.Attribute.EC_POINT])

        parameters, wrapped = self._use(read)
        from pkcs11.util.ec import encode_named_curve_parameters  # noqa: PLC0415 - an extra; see _library

        for name, curve in CURVES.items():
            size = 1 + 2 * ((curve.key_size + 7) // 8)
            # An OCTET STRING around the point (PKCS #11 2.40 §2.3.3); at most 97 bytes, so one or two length octets.
            if parameters == encode_named_curve_parameters(name) and len(wrapped) > size and wrapped[0] == 0x04:
                return ec.EllipticCurvePublicKey.from_encoded_point(curve, wrapped[-size:])
        raise SignerError(f"the key {key_id.hex()} in the token is not on P-256 or P-384")

    def _use(self, work: Callable[[ModuleType, Any], T]) -> T:
        """Run ``work`` in the session; opens one if there is none, and once more if the token was gone in between."""
        return self._thread.submit(self._in_session, work).result()

    def _in_session(self, work: Callable[[ModuleType, Any], T]) -> T:
        pkcs11 = _library()
        with _explained(pkcs11, self._address):
            if self._session is not None:
                try:
                    return work(pkcs11, self._session)
                except pkcs11.NoSuchKey:
                    raise
                except pkcs11.PKCS11Error:
                    self._session = None
            pin = self._address.pin()
            digest = sha256(pin.encode()).digest()
            if digest == self._refused_pin:
                raise SignerError(
                    f"the token {self._address.token!r} does not take the PIN; it is not tried again",
                    remedy=f"Put the right one into {self._address.pin_file}, or restart the service.",
                )
            try:
                self._session = self._opened(pkcs11, pin)
            except _refusals_of_pin(pkcs11) as error:
                if not isinstance(error, pkcs11.PinLocked):  # trying again harms nothing then
                    self._refused_pin = digest
                raise
            return work(pkcs11, self._session)

    def _opened(self, pkcs11: ModuleType, pin: str) -> Any:
        module = pkcs11.lib(str(self._address.module))
        try:
            token = module.get_token(token_label=self._address.token)
        except (pkcs11.NoSuchToken, pkcs11.TokenNotPresent):
            module.reinitialize()  # modules look for tokens once; this one may have been plugged in since
            token = module.get_token(token_label=self._address.token)
        try:
            return token.open(rw=True, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # a login is the whole process's, whichever session made it
            return token.open(rw=True)

    def _reference(self, name: str) -> Path:
        return self._folder / f"{name}{REFERENCE_SUFFIX}"


def _library() -> ModuleType:
    try:
        import pkcs11  # noqa: PLC0415 - an extra, and 4 MB: only where a token is configured
    except ImportError as error:
        raise SignerError(
            "python-pkcs11 is not installed", remedy="Install the extra: pip install 'armillary[pkcs11]'."
        ) from error
    module: ModuleType = pkcs11
    return module


def _refusals_of_pin(pkcs11: ModuleType) -> tuple[type[Exception], ...]:
    return pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinInvalid, pkcs11.PinLenRange


@contextmanager
def _explained(pkcs11: ModuleType, address: TokenAddress) -> Iterator[None]:
    try:
        yield
    except _refusals_of_pin(pkcs11) as error:
        raise SignerError(f"the token {address.token!r} does not take the PIN ({type(error).__name__})") from error
    except pkcs11.NoSuchToken as error:
        raise SignerError(f"{address.module} has no token {address.token!r}") from error
    except pkcs11.NoSuchKey as error:
        raise SignerError(
            f"the token {address.token!r} has lost a key of this service", remedy="Restore the token from its backup."
        ) from error
    except (pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: the module cannot be loaded
        raise SignerError(f"the token {address.token!r} refuses ({type(error).__name__} {error})".rstrip()) from error
