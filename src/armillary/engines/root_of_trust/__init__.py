# SPDX-License-Identifier: Apache-2.0
"""Root of trust: the one secret of a device, and its boot counter.

What it is: engines that make a device's identity, derive one DICE layer per measured boot component, count boots, and
sign evidence with a key that only this boot chain can have.
What it is not: storage for other secrets; and it does not judge a boot, which the service does. The ``software`` engine
has the secret in a file: root on the host, or a copy of the disk, has it too; its tier is ``software``. The ``tpm2``
engine has the identity key in a TPM 2.0; what that protects: ``docs/concepts/roots-of-trust.md``.
Specification: TCG "DICE Layering Architecture" (the ladder), TCG TPM 2.0 Library, RFC 9334 (attester), ``port.py``.
"""
