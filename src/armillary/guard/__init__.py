# SPDX-License-Identifier: Apache-2.0
"""What a guardian may do to its equipment, and what it makes of what it reads: rules, pure.

The guard decides about every frame before it goes to the equipment and about every command that comes from the cloud.
It denies by default: what a profile does not list is refused. Also here: the poll plan that a profile compiles to, how
replies become readings, and which readings, alarms and events are worth sending.

Not here: formats (``armillary.wire.equipment``), links and stores (``armillary.engines.equipment``), the process
(``armillary.guardian``). Nothing here touches a clock, a disk or a network.

Specification: ``docs/reference/equipment-profile.md``, ``docs/concepts/guardian.md``.
"""
