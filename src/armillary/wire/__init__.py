# SPDX-License-Identifier: Apache-2.0
"""Every byte format Armillary reads or writes: bytes to frozen values and back, one file per format.

What it is: parsers that accept exactly one spelling of each value and raise
:class:`~armillary.errors.WireError` for everything else, builders that write that spelling, and the values
between them. Data whose signature nobody has checked yet is in a type named ``Unverified...``.

What it is not: no file, socket, clock, randomness, process or policy. A format does not know whether its
content is wanted, only whether it is well formed.

Specifications: Azure Sphere's image package, app manifest, hardware definition and capability file
(byte compatible); RFC 8949 CBOR, RFC 9052 COSE, RFC 9711 EAT, RFC 5280 X.509; MQTT 3.1.1 and 5; and our own
messages in ``docs/reference/device-protocol.md``.
"""
