# SPDX-License-Identifier: Apache-2.0
"""Public keys that a guardian trusts, checked by the libcrypto that its Python has for TLS.

A guardian's image then needs no native library: the sandbox has OpenSSL 3, as Python's ``ssl`` is made of it. Only
functions of its public, stable interface are called, each with its types declared. An answer other than 1 is a refusal:
0 is a signature that does not hold, less than 0 one that cannot be one, or a failure.

Source: OpenSSL 3.0, d2i_PUBKEY(3), EVP_PKEY_get_group_name(3), EVP_DigestVerifyInit(3).
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import hashlib
import re
import ssl
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_ubyte, c_void_p, create_string_buffer
from dataclasses import dataclass
from functools import cache
from typing import Final

from armillary.errors import HostError, SignatureError

LIBRARY: Final = "libcrypto.so.3"
# A SubjectPublicKeyInfo of P-256 has 91 bytes, of Ed25519 44.
MAX_PEM_BYTES: Final = 4096
_PEM: Final = re.compile(
    r"\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END PUBLIC KEY-----\s*", re.ASCII
)
_P256: Final = b"prime256v1"
_GROUP_BYTES: Final = 80  # Room for the name of any group
# Function -> its result and its arguments.
_FUNCTIONS: Final = {
    "d2i_PUBKEY": (c_void_p, (c_void_p, POINTER(POINTER(c_ubyte)), c_long)),
    "i2d_PUBKEY": (c_int, (c_void_p, c_void_p)),
    "EVP_PKEY_is_a": (c_int, (c_void_p, c_char_p)),
    "EVP_PKEY_get_group_name": (c_int, (c_void_p, c_char_p, c_size_t, POINTER(c_size_t))),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_DigestVerifyInit_ex": (c_int, (c_void_p, c_void_p, c_char_p, c_void_p, c_char_p, c_void_p, c_void_p)),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}


@dataclass(frozen=True, slots=True)
class LibcryptoKey:
    """A public key, P-256 or Ed25519; made by :func:`trusted_key`."""

    der: bytes  # SubjectPublicKeyInfo
    digest: bytes | None  # Name of the hash, None for Ed25519

    @property
    def key_id(self) -> str:
        """SHA-256 of its SubjectPublicKeyInfo (DER), in hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()

    def check(self, signature: bytes, message: bytes) -> None:
        """Raise SignatureError unless the key's owner signed this message."""
        library = _library()
        key, context = _decoded(library, self.der), library.EVP_MD_CTX_new()
        try:
            begun = context and library.EVP_DigestVerifyInit_ex(context, None, self.digest, None, None, key, None)
            if begun != 1 or library.EVP_DigestVerify(context, signature, len(signature), message, len(message)) != 1:
                raise SignatureError("signature", expected=f"one by key {self.key_id[:16]}", got="another")
        finally:
            library.EVP_MD_CTX_free(context)
            library.EVP_PKEY_free(key)
            library.ERR_clear_error()  # of this thread, in which connections of TLS read it


def trusted_key(pem: str) -> LibcryptoKey:
    """The key that PEM text (SubjectPublicKeyInfo) says.

    Raises:
        SignatureError: it is none, or neither P-256 nor Ed25519.
        HostError: this Python has no OpenSSL 3.
    """
    match = _PEM.fullmatch(pem) if len(pem) <= MAX_PEM_BYTES else None
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True) if match else b""
    except binascii.Error:
        der = b""
    library = _library()
    key = _decoded(library, der)
    try:
        if library.EVP_PKEY_is_a(key, b"ED25519") == 1:
            return LibcryptoKey(der, None)
        if library.EVP_PKEY_is_a(key, b"EC") == 1 and _group(library, key) == _P256:
            return LibcryptoKey(der, b"SHA256")
    finally:
        library.EVP_PKEY_free(key)
        library.ERR_clear_error()
    raise SignatureError("public key", expected="P-256 or Ed25519", got="another kind")


def _decoded(library: ctypes.CDLL, der: bytes) -> int:
    """The key of a SubjectPublicKeyInfo; whoever asks frees it."""
    data = (c_ubyte * len(der)).from_buffer_copy(der)
    place = ctypes.cast(data, POINTER(c_ubyte))
    key = library.d2i_PUBKEY(None, byref(place), len(der)) if der else None
    if key is None:
        library.ERR_clear_error()
        raise SignatureError("public key", expected="PEM, BEGIN PUBLIC KEY", got="something else")
    if not _is_written_so(library, key, der):
        library.EVP_PKEY_free(key)
        raise SignatureError("public key", expected="its one form in DER", got="another form, or more behind it")
    return int(key)


def _is_written_so(library: ctypes.CDLL, key: int, der: bytes) -> bool:
    length = library.i2d_PUBKEY(key, None)
    if length != len(der):
        return False
    data = create_string_buffer(length)
    place = c_void_p(ctypes.addressof(data))
    return library.i2d_PUBKEY(key, byref(place)) == length and data.raw == der


def _group(library: ctypes.CDLL, key: int) -> bytes:
    name, length = create_string_buffer(_GROUP_BYTES), c_size_t()
    return name.value if library.EVP_PKEY_get_group_name(key, name, _GROUP_BYTES, byref(length)) == 1 else b""


@cache
def _library() -> ctypes.CDLL:
    if ssl.OPENSSL_VERSION_INFO[0] != 3:
        raise _missing(ssl.OPENSSL_VERSION)
    try:
        library = ctypes.CDLL(LIBRARY)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise _missing(str(error)) from error
    return library


def _missing(reason: str) -> HostError:
    return HostError(
        f"signed files cannot be checked: expected {LIBRARY}, got {reason:.120}",
        remedy="Run the guardian by a Python of the system that is built with OpenSSL 3.",
    )
