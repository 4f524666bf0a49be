# SPDX-License-Identifier: Apache-2.0
"""Signer: private keys of certificate authorities, to be used and not to be taken out.

What it is: the engine that makes a key under a name and signs with it. ``file`` keeps keys encrypted in a folder and
decrypts them into this process's memory; ``pkcs11`` keeps them in a token (an HSM) and asks it for each signature.
What it is not: a place for certificates, and not a judge of what is signed.
Specification: RFC 5958 (PKCS #8), RFC 8018 (PBES2), RFC 7914 (scrypt), PKCS #11 2.40, ``port.py``.
"""
