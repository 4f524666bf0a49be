# SPDX-License-Identifier: Apache-2.0
"""IoT Central's REST API: one row an operation (``table.py``), one module a noun.

Not here: what an operation does. These functions translate between IoT Central's documents and the platform's.
Specification: IoT Central's public REST reference, versions 2022-07-31 and preview; ``docs/reference/iot-central.md``.
"""
