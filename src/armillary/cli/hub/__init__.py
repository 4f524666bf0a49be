# SPDX-License-Identifier: Apache-2.0
"""Commands about clients of the hub: hub devices, enrolments, service keys, telemetry.

Not here: the hub (``armillary.hub``). Specification: ``docs/reference/cli.md``.
"""
