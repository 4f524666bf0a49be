# SPDX-License-Identifier: Apache-2.0
"""Messages between devices and the service, and between the service and its device workers.

Not here: when they are sent (``armillary.device``, ``armillary.service``).
Specification: ``docs/reference/device-protocol.md``.
"""
