# SPDX-License-Identifier: Apache-2.0
"""Peripherals on a device: which application owns which of them since the boot, and their use for its owner.

What it is not: the peripherals themselves (``armillary.engines.peripherals``), what an application may ask for
(``armillary.device.interface.peripherals``), who gets what (``armillary.capability.grant``).
Specification: ``docs/reference/boards.md``.
"""
