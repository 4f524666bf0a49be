# SPDX-License-Identifier: Apache-2.0
"""Root of trust: the one secret of a device, and the boot counter beside it.

What it is: the engine that makes a device's identity, derives one DICE layer per boot component that was
measured, counts boots, and signs evidence with a key that only this very boot chain can have.
What it is not: storage for other secrets, and not a judge: the service decides what a boot is worth. The
``software`` engine keeps the secret in a file; whoever is root on the host, or copies the disk, has it. It says
so: its tier is ``software`` and it never claims to be hardware. The ``tpm2`` engine keeps the identity key in a TPM
2.0; what that gives and what not: ``docs/concepts/roots-of-trust.md``.
Specification: TCG "DICE Layering Architecture" (the ladder), TCG TPM 2.0 Library, RFC 9334 (attester), ``port.py``.
"""
