# SPDX-License-Identifier: Apache-2.0
"""Manufacture and start of a device: verified and measured boot, key derivation.

What it is not: the rules of the chain (``armillary.boot``). Specification: ``docs/concepts/trust.md``.
"""
