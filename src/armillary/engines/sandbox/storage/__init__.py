# SPDX-License-Identifier: Apache-2.0
"""Mutable storage of applications: a file system of its own for each, whose size is the quota.

Not here: how much an application gets (``armillary.capability``), and where its storage lies (the device).
"""
