# SPDX-License-Identifier: Apache-2.0
"""Commands about what a device on this host simulates, while it runs: ``armillary sim peripheral``.

What it is not: simulated machines and networks (``armillary.sim``), and the simulated peripherals themselves
(``armillary.engines.peripherals``).
Specification: ``docs/reference/boards.md``.
"""
