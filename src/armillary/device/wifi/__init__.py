# SPDX-License-Identifier: Apache-2.0
"""Wi-Fi of one device: the radio follows what the device's records say.

What it is not: what is kept, and what may be kept (``armillary.device.state.wifi_configuration``), who changes it
(``armillary.device.rest``, ``armillary.device.interface``), radios (``armillary.engines.wifi``).
Specification: ``docs/concepts/wifi.md``.
"""
