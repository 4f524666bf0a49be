# SPDX-License-Identifier: Apache-2.0
"""The device's way to the network through a cellular modem: settings, states, the thread that keeps the session up.

What it is: ``states`` is the table, ``waits`` how long until something is tried again, ``uplink`` drives a modem by
both, ``interface`` gives the modem's network interface what the session was given, ``configuration`` is what is kept,
``host_modem`` is the modem of a device process on somebody's Linux.
What it is not: the modem's language (``engines/modem``, ``wire/modem``). Specification: docs/concepts/cellular.md.
"""
