# SPDX-License-Identifier: Apache-2.0
"""How costly it is to open a private key, found before the costly part.

An encrypted key (PKCS #8, RFC 5958) itself says how often its password is hashed (PBKDF2, RFC 8018 §5.2; the older
schemes of §6.1 and PKCS #12 alike). A small file can ask for hours of work, or with scrypt (RFC 7914) for all memory.
An RSA key (RFC 8017) whose numbers do not fit together can ask for minutes of looking for primes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers

from armillary.errors import WireError

# The interpreter's lock is held while a password is hashed, so the whole process waits: by hash and host, this many
# rounds take tens to hundreds of milliseconds. OpenSSL writes 2,048.
MAX_ROUNDS: Final = 100_000
MAX_RSA_BITS: Final = 4096
MAX_EXPONENT_BITS: Final = 32
_UNEQUAL_BITS: Final = 16  # the primes of one key differ by so many bits at most
_FORMAT: Final = "encrypted private key"
_RSA: Final = "RSA private key"
_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_INTEGER, _OBJECT_ID, _SEQUENCE = 0x02, 0x06, 0x30
_MAX_DEPTH: Final = 8


def check_cost(der: bytes) -> None:
    """WireError if opening the key takes too much work, uses scrypt, or it is no DER."""
    outer = list(_values(der))
    if len(outer) != 1 or outer[0][0] != _SEQUENCE:
        raise WireError(_FORMAT, expected="one sequence", got=f"{len(outer)} values")
    inner = list(_values(outer[0][1]))
    if not inner or inner[0][0] != _SEQUENCE:
        raise WireError(_FORMAT, expected="the name of its algorithm", got="another value")
    _check(inner[0][1], _MAX_DEPTH)


def check_rsa(key: RSAPrivateNumbers) -> None:
    """WireError if the numbers of an RSA key cannot be one's, found without a look at whether its primes are prime.

    That look is costly for numbers that are longer than the modulus allows, and a file may hold any.
    """
    n, e = key.public_numbers.n, key.public_numbers.e
    if n.bit_length() > MAX_RSA_BITS:
        raise WireError(_RSA, expected=f"a modulus of at most {MAX_RSA_BITS} bits", got=f"{n.bit_length()}")
    if e < 3 or e % 2 == 0 or e.bit_length() > MAX_EXPONENT_BITS:
        raise WireError(_RSA, expected=f"an odd exponent of at most {MAX_EXPONENT_BITS} bits", got="another")
    for prime in (key.p, key.q):
        if abs(2 * prime.bit_length() - n.bit_length()) > _UNEQUAL_BITS:
            raise WireError(_RSA, expected="primes of half the modulus' length", got=f"{prime.bit_length()} bits")
    if key.p * key.q != n:
        raise WireError(_RSA, expected="two primes whose product is the modulus", got="another product")
    if not (key.d < n and key.dmp1 < key.p and key.dmq1 < key.q and key.iqmp < key.p):
        raise WireError(_RSA, expected="exponents and a coefficient within the primes", got="larger ones")


def _check(data: bytes, depth: int) -> None:
    for tag, value in _values(data):
        if tag == _SEQUENCE and depth:
            _check(value, depth - 1)
        elif tag == _SEQUENCE:
            raise WireError(_FORMAT, expected=f"at most {_MAX_DEPTH} levels", got="more")
        elif tag == _OBJECT_ID and value == _SCRYPT:
            raise WireError(_FORMAT, expected="PBKDF2", got="scrypt")
        elif tag == _INTEGER and int.from_bytes(value, signed=True) > MAX_ROUNDS:
            raise WireError(_FORMAT, expected=f"at most {MAX_ROUNDS} rounds", got="more")


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of the DER values that follow one another (X.690 §8.1)."""
    at = 0
    while at < len(data):
        length, start = data[at + 1] if at + 1 < len(data) else 0x80, at + 2
        if length & 0x80:
            width = length & 0x7F
            start += width
            length = int.from_bytes(data[start - width : start])
            if not 1 <= width <= 4:
                raise WireError(_FORMAT, expected="a length of one to four bytes", got=f"{width}", offset=at)
        if start + length > len(data):
            raise WireError(_FORMAT, expected=f"{length} bytes", got=f"{len(data) - start}", offset=start)
        yield data[at], data[start : start + length]
        at = start + length
