# SPDX-License-Identifier: Apache-2.0
"""What a guardian makes of readings: which are worth sending, alarms, events and derived values. Pure.

Each takes the readings of one moment and gives what follows of them; their state is a table or a window of bounded
size. Not here: how replies become readings (``armillary.guard.decoding``), what is sent when (``armillary.guardian``).

Specification: ``docs/reference/equipment-profile.md`` (report, alarms, events, derived).
"""
