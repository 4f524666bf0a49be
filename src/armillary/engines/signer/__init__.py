# SPDX-License-Identifier: Apache-2.0
"""Signer: private keys of certificate authorities, which can be used but not read.

What it is: engines that make a key under a name and sign with it. ``file`` stores encrypted keys in a folder and
decrypts them into this process's memory; ``pkcs11`` has them in a token (an HSM) and asks it for each signature.
What it is not: a place for certificates; it does not check what is signed.
Specification: RFC 5958 (PKCS #8), RFC 8018 (PBES2), RFC 7914 (scrypt), PKCS #11 2.40, ``port.py``.
"""
