# SPDX-License-Identifier: Apache-2.0
"""What devices, device workers and the service say to one another.

Not here: who says it when. Specification: ``docs/reference/device-protocol.md``.
"""
