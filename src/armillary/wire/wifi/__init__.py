# SPDX-License-Identifier: Apache-2.0
"""Formats of Wi-Fi: what wpa_supplicant is told and answers over its control interface, and Linux's power saving.

What it is not: which networks a device knows (``armillary.device.state.wifi_configuration``), and who speaks with
wpa_supplicant (``armillary.engines.wifi``). Specification: wpa_supplicant's ``doc/ctrl_iface.doxygen`` and
``wpa_supplicant.conf`` (w1.fi), Linux's ``include/uapi/linux/nl80211.h`` and ``genetlink.h``.
"""
