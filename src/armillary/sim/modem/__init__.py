# SPDX-License-Identifier: Apache-2.0
"""A simulated cellular modem, which says in its answers that it is one: its words, and a radio that follows a script.

What it is: for tests and for machines in QEMU, whose modem it stands for. ``radio`` is what is outside of the modem,
``script`` how it changes, ``modem`` the AT commands and ``qmi`` the QMI (bytes in, bytes out), ``serving`` its line,
``link`` the network interface of a virtual machine that follows its session.
What it is not: any real modem's behaviour beyond commands of 3GPP TS 27.007 and messages of QMI, and no radio: nothing
is sent.
"""
