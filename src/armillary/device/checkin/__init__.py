# SPDX-License-Identifier: Apache-2.0
"""A device's conversation with its service: proof, check-in, certificates, renewal.

Not here: what the proof says (``armillary.attest``). Specification: ``docs/reference/device-protocol.md``.
"""
