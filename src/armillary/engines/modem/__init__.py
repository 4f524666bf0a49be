# SPDX-License-Identifier: Apache-2.0
"""Cellular modems: one port, and two engines over a character device: ``at`` speaks AT commands, ``qmi`` QMI.

What it is: opening a modem, asking it, hearing what it says unasked, with every wait bounded. An engine for MBIM would
be another module behind the same port; there is none.
What it is not: what is asked when, and what follows (``device/cellular``); the words themselves (``wire/modem``).
"""
