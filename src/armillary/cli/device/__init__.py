# SPDX-License-Identifier: Apache-2.0
"""``armillary device``: devices on this host (make, run, sideload) and devices in the service (list, hold, message).

What it is not: the device process (``armillary.device``). Specification: ``docs/reference/cli.md``.
"""
