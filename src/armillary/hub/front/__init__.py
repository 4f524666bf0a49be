# SPDX-License-Identifier: Apache-2.0
"""Devices' connections: messages go into the log, twins and methods both ways, messages out.

Not here: bytes of a connection (``hub/link``). Specification: ``docs/reference/mqtt.md``.
"""
