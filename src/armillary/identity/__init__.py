# SPDX-License-Identifier: Apache-2.0
"""Identity: of devices, the DICE key ladder, ids, manufacturing states, which certificate is given; of who acts.

What it is: pure rules over bytes and keys. What it is not: no key storage (``engines/root_of_trust``), no
certificate bytes (``wire/certificates/certificate.py``), no registry (``service``).

Specification: TCG DICE layering as in "Open Profile for DICE" (CDI per layer, keys derived from it), NIST
SP 800-56C / RFC 5869 HKDF, FIPS 186-5 appendix A.2.1 for deriving a private key from bits; Azure Sphere's
manufacturing states.
"""
