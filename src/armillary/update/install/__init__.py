# SPDX-License-Identifier: Apache-2.0
"""Installation of a bundle, OS and applications in one switch: rules that survive any power cut and revert themselves.

What it is: pure rules and one durable record. ``transaction`` is the state table; ``record`` is the one atomic switch
(two copies, sequence number, CRC); ``plan`` compares the wanted bundle with the installed one; ``steps`` makes the next
record; ``starting`` decides what a start of the device boots; ``trial`` when a new bundle is confirmed or reverted.
What it is not: flash, downloads, boot (``armillary.device.install``, ``armillary.boot``).
Specification: docs/reference/device-update.md; the model is MCUboot's: write the candidate, verify it by reading it
back, one flag write, try it, confirm it or revert it.
"""
