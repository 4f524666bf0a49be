# SPDX-License-Identifier: Apache-2.0
"""Data exports: how far each one is, its dead letters, the files that some write, and jq transforms."""
