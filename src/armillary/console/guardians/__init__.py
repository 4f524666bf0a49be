# SPDX-License-Identifier: Apache-2.0
"""Pages of guardians: their links, queues and refused attempts, the points of their equipment, commands to it.

Not here: other devices (``console/device``, ``console/hub_devices``). Specification: ``docs/concepts/guardian.md``.
"""
