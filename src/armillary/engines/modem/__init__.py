# SPDX-License-Identifier: Apache-2.0
"""Cellular modems: one port, and the engine that speaks AT commands over a character device.

What it is: opening a modem, asking it, hearing what it says unasked, with every wait bounded. An engine for QMI or MBIM
would be another module behind the same port; there is none.
What it is not: what is asked when, and what follows (``device/cellular``); the words themselves (``wire/modem``).
"""
