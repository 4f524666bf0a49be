# SPDX-License-Identifier: Apache-2.0
"""Manufacture and enrolment: how a device comes to be known.

Not here: devices that do not attest (``service/hub_access``). Specification: ``docs/guides/life-of-a-device.md``.
"""
