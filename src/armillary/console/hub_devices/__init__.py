# SPDX-License-Identifier: Apache-2.0
"""Devices that do not attest, the enrolments that let them in, and the keys of tools.

Not here: attested devices (``console/device``). Specification: ``docs/guides/operate.md``.
"""
