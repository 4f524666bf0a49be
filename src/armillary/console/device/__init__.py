# SPDX-License-Identifier: Apache-2.0
"""The fleet and one device: its trust, data, twin, template and life.

Not here: devices that do not attest (``console/hub_devices``). Specification: ``docs/guides/operate.md``.
"""
