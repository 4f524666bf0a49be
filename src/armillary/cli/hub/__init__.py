# SPDX-License-Identifier: Apache-2.0
"""Commands for clients of the hub: hub devices, enrolments, service keys, telemetry.

What it is not: the hub (``armillary.hub``). Specification: ``docs/reference/cli.md``.
"""
