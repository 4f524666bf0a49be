# SPDX-License-Identifier: Apache-2.0
"""What devices say of their cellular modems: taken, kept, shown.

What it is not: the modem and what is told to it (``device/cellular``); that is between a device and who stands at it.
"""
