# SPDX-License-Identifier: Apache-2.0
"""AT commands and QMI of cellular modems: what a device asks, and what a modem says, as values. Pure.

Both sides share it: the device (``engines/modem``) and the simulated modem (``sim/modem``). Sources: ITU-T V.250 (lines
and result codes), 3GPP TS 27.007 V17 (commands of the network and the SIM), and for QMI (``qmux``, ``qmi``) the public
description in libqmi. What a modem says is another computer's word: lines and frames are bounded, unknown ones are kept
apart and never guessed at.

What it is not: which question comes when (``device/cellular/states.py``), and MBIM, which is another language.
"""
