# SPDX-License-Identifier: Apache-2.0
"""Crash dumps: which devices may send them, how they are kept, who reads them, and how they end.

What it is: a device group's consent, limits and data region; encryption to a key of the group; retention and erasure.
What it is not: crash groups, which are counted from error reports (``service/watch/crash_groups.py``), nor a debugger.
Specification: RFC 9180 (HPKE); docs/concepts/crashes.md.
"""
