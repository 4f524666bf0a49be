# SPDX-License-Identifier: Apache-2.0
"""Serial lines of simulators: pseudo-terminals in place of wires.

What it is: the line. What it is not: anything that speaks on it (``sim/equipment``, ``sim/modem``).
"""
