# SPDX-License-Identifier: Apache-2.0
"""Rows of crash groups, of where they were seen, and of symbols that were uploaded.

Not here: which crashes are the same (``armillary.detect.crashes``).
"""
