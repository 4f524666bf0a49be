# SPDX-License-Identifier: Apache-2.0
"""Attestation as the service (RFC 9334's Verifier) does it: challenges, reference values, policies and the appraisal.

What it is: pure rules. :mod:`~armillary.attest.challenge` mints challenges, :mod:`~armillary.attest.appraise` judges
the evidence that answers them against :mod:`~armillary.attest.reference` values.

What it is not: no clock, no randomness, no storage: the caller gives the time, the random bytes and what the
registry knows, and it alone can see that a challenge was used before (``appraise`` names the steps that stay
with the caller). Evidence is made on the device (``armillary.device.checkin``) and encoded in ``armillary.wire``.

Specification: ``docs/reference/device-protocol.md``; RFC 9334 (roles), RFC 9711 (EAT), RFC 9052 (COSE).
"""
