# SPDX-License-Identifier: Apache-2.0
"""The device endpoint: TLS, HTTP, and the few routes that devices have.

Not here: whether evidence is good (``service/verifier``). Specification: ``docs/reference/device-protocol.md``.
"""
