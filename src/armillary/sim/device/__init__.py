# SPDX-License-Identifier: Apache-2.0
"""Simulated parts of a device: its proof, its connection, an attacker; and a service in a thread to connect them to.

What it is not: the device process (``armillary.device``). Specification: ``docs/reference/device-protocol.md``.
"""
