# SPDX-License-Identifier: Apache-2.0
"""Methods of peripherals: pins, buses and controllers of the device's board, for the application that owns them.

What it is not: the peripherals (``armillary.engines.peripherals``), who owns them (``armillary.device.peripherals``).
Specification: ``docs/reference/boards.md``.
"""
