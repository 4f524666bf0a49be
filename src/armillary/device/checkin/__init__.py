# SPDX-License-Identifier: Apache-2.0
"""A device's protocol with its security service: proof, check-in, certificates, renewal.

What it is not: the content of the proof (``armillary.attest``). Specification: ``docs/reference/device-protocol.md``.
"""
