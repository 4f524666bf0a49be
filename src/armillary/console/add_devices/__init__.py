# SPDX-License-Identifier: Apache-2.0
"""From an empty service to the first devices: applications to use, catalogs, products, device groups, claims.

Not here: hub devices (``hub_devices/``), what a device does later (``device/``). Specification:
``docs/guides/first-device.md``.
"""
