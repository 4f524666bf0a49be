# SPDX-License-Identifier: Apache-2.0
"""Update: the rules of an installation that survives any power cut and takes a bad image back by itself.

What it is: pure rules and one durable record. ``transaction`` is the state table; ``record`` is the one atomic
switch (two copies, sequence number, CRC); ``plan`` compares the wanted set of images with what is installed and
turns the record over; ``trial`` decides when a new set is confirmed or taken back.
What it is not: the code that downloads, writes flash or starts programs (``armillary.device``), and not the
choice of who gets what when (``armillary.rollout``, in the service).
Specification: docs/reference/device-update.md; the model is MCUboot's: write the candidate, verify it by reading
it back, one flag write, try it, confirm it or take it back.
"""
