# SPDX-License-Identifier: Apache-2.0
"""Rows of crash groups, of where they were seen, of symbols that were uploaded, and of cohorts of like devices.

Not here: which crashes are the same (``armillary.detect.crashes``).
"""
