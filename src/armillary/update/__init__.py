# SPDX-License-Identifier: Apache-2.0
"""Updates as a device installs them: rules that survive any power cut and revert a bad image without help.

What it is: pure rules and one durable record. ``transaction`` is the state table; ``record`` is the one atomic switch
(two copies, sequence number, CRC); ``plan`` compares the wanted set of images with the installed one and makes the next
record; ``trial`` decides when a new set is confirmed or reverted.
What it is not: code that downloads, writes flash or starts programs (``armillary.device``); which device is offered
which images (``armillary.service.updates``); the pace of that (``armillary.rollout``).
Specification: docs/reference/device-update.md; the model is MCUboot's: write the candidate, verify it by reading it
back, one flag write, try it, confirm it or revert it.
"""
