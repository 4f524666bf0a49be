# SPDX-License-Identifier: Apache-2.0
"""Attacks on a machine that is a device, while it is off: its firmware's variables, its partition table, its OS.

Who holds the machine writes its flash and its disk from outside. So what was changed may start; the question is whether
the service believes the machine then. The attacks on the content of a slot are ``device_image/attacks.py``.
"""
