# SPDX-License-Identifier: Apache-2.0
"""Data exports: how far each one is, durably, its dead letters, and the files that some of them write."""
