# SPDX-License-Identifier: Apache-2.0
"""Native routes of the data plane: hub devices, enrolments, keys, messages, files, telemetry.

Not here: the data plane itself (``armillary.hub``). Specification: ``docs/reference/api.md``.
"""
