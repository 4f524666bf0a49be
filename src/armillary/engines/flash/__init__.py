# SPDX-License-Identifier: Apache-2.0
"""Flash: named regions of bytes that keep what was synced through any power cut.

What it is: the only way to write durably on a device (except for the root of trust, which stands for fuses). It has six
operations, so a simulator that cuts power inside each of them proves the updater.
What it is not: a file system or a database; there is no transaction over several regions. ``update`` builds its one
atomic switch out of these operations.
Specification: ``port.py``.
"""
