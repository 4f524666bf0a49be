# SPDX-License-Identifier: Apache-2.0
"""Debugging of applications: a port for gdb and one for output of each application that a tool starts for it.

What it is not: who may start one so (``armillary.device.rest``), starting it (``armillary.device.applications``).
Specification: ``docs/reference/device-rest.md``.
"""
