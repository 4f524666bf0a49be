# SPDX-License-Identifier: Apache-2.0
"""What deltas need of libraries and disks: Zstandard, files, a cache of those that were made, the process that makes.

What it is not: the rules (``update/delta``) and the format (``wire/update/delta.py``). Everything here is imported when
a delta is made or used, never at the start of a service or device. Specification: docs/reference/delta.md.
"""
