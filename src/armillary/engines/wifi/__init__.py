# SPDX-License-Identifier: Apache-2.0
"""Wi-Fi radios: what every radio can, a pretended one, and one that wpa_supplicant drives.

What it is not: which networks a device knows, and who may change that (``armillary.device``); the bytes that
wpa_supplicant and the kernel are asked with (``armillary.wire.wifi``). Specification: ``docs/concepts/wifi.md``.
"""
