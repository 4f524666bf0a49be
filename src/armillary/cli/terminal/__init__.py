# SPDX-License-Identifier: Apache-2.0
"""Shared by all commands: printing, the client of the operator API, options, names of devices, times and durations.

What it is not: a command. Specification: ``docs/reference/cli.md``.
"""
