# SPDX-License-Identifier: Apache-2.0
"""Installs applications on a device, admits them by their manifest, launches them and keeps them running.

What it is not: how a process is confined (``armillary.engines.sandbox``).
Specification: ``docs/guides/first-device.md``, ``docs/concepts/sandbox.md``.
"""
