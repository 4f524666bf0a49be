# SPDX-License-Identifier: Apache-2.0
"""Finding out what an unknown machine on Modbus answers: what may be asked, in which order, and what is made of it.

Discovery reads and never writes, and takes for a fact only what the machine said. From what it found a draft of a
profile is written, which a person completes.

Not here: links and the pace of requests (``armillary.engines.equipment.discovery``), printing (``armillary.cli``).

Specification: ``docs/reference/equipment-links.md``; Modbus Application Protocol 1.1b3 §6.
"""
