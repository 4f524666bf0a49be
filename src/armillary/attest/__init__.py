# SPDX-License-Identifier: Apache-2.0
"""Attestation, both ends: challenges, evidence, reference values and the appraisal (RFC 9334's words).

What it is: pure rules. The device (Attester) proves with :mod:`~armillary.attest.attester`; the service
(Verifier) mints challenges with :mod:`~armillary.attest.challenge` and judges with
:mod:`~armillary.attest.appraise` against :mod:`~armillary.attest.reference` values.

What it is not: no clock, no randomness, no storage: the caller gives the time, the random bytes and what the
registry knows, and it alone can see that a challenge was used before (``appraise`` names the steps that stay
with the caller).

Specification: ``docs/reference/device-protocol.md``; RFC 9334 (roles), RFC 9711 (EAT), RFC 9052 (COSE).
"""
