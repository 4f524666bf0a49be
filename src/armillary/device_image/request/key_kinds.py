# SPDX-License-Identifier: Apache-2.0
"""Which keys of secure boot a firmware takes: an image that others signed is built without a word, and never starts.

U-Boot verifies with the signing key alone. mkimage takes any RSA key, and signs with the algorithm that a slot's file
names; U-Boot then has a modulus of one length and a signature of another, and refuses its own image.

UEFI's firmware takes PK, KEK and db only with a certificate of an RSA key (EDK2, CheckSignatureListFormat in
SecurityPkg/Library/AuthVariableLib/AuthService.c), and their signed files are made with RSA here. Longer keys than 2048
bits are verified; shorter ones are too weak to be anybody's (NIST SP 800-131A).

Neither looks at the days of a certificate: U-Boot knows the key without it, EDK2 verifies with
``X509_V_FLAG_NO_CHECK_TIME`` (CryptPkcs7VerifyCommon.c). So one that is over is said and not refused: a fleet that has
its key takes no update that another one signed. Firmware of other makers was not tried.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.keys import KEY_BITS, SIGNING, KeyPair, certificate_of
from armillary.errors import InvalidArgumentError


def usable_keys(keys: Mapping[str, KeyPair], target: Architecture) -> dict[str, KeyPair]:
    """Those of the keys that the firmware of an architecture verifies with, each of a kind that it takes.

    Raises:
        InvalidArgumentError: one is of another kind or size; the remedy has the line that makes one.
    """
    used = {name: pair for name, pair in keys.items() if target.has_uefi or name == SIGNING}
    for name, pair in used.items():
        key = certificate_of(pair).public_key()
        bits = key.key_size if isinstance(key, rsa.RSAPublicKey) else 0
        if bits < KEY_BITS or (bits > KEY_BITS and not target.has_uefi):
            expected = f"RSA with at least {KEY_BITS} bits" if target.has_uefi else f"RSA with {KEY_BITS} bits"
            by = "UEFI's firmware" if target.has_uefi else "U-Boot"
            raise InvalidArgumentError(
                f"{pair.key}: expected {expected}, with which {by} verifies an image of {target.name}, "
                f"got {_words(key)}",
                remedy=f"Make one in a new folder with all three keys, and name that (--keys DIR): {_line(name)}",
            )
    return used


def days_missed(keys: Mapping[str, KeyPair], *, at: dt.datetime) -> list[str]:
    """What is to be said of certificates that are over or not yet valid at a time: a line for each."""
    said = []
    for pair in keys.values():
        certificate = certificate_of(pair)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= at <= end:
            when = f"is valid from {begin:%Y-%m-%d} on" if at < begin else f"was valid until {end:%Y-%m-%d}"
            said.append(
                f"Attention: {pair.certificate} {when}. EDK2 and U-Boot do not look at the days of a certificate; "
                "other firmware was not tried."
            )
    return said


def _line(name: str) -> str:
    """The command that makes a key and its certificate, in the folder that one is in."""
    return (
        f"openssl req -x509 -newkey rsa:{KEY_BITS} -noenc -sha256 -days 7300 "
        f"-subj '/CN=NAME {name} key' -keyout {name}.key -out {name}.pem"
    )


def _words(key: PublicKeyTypes) -> str:
    """What a key is called."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA with {key.key_size} bits"
    return "no RSA key"
