# SPDX-License-Identifier: Apache-2.0
"""Manufacture and enrolment: how a new device is registered with its key and gets an identity certificate.

Not here: devices that do not attest (``service/hub_access``). Specification: ``docs/guides/life-of-a-device.md``.
"""
