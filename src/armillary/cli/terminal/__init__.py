# SPDX-License-Identifier: Apache-2.0
"""What every command shares: printing, the remote service, names of devices, times and durations.

Not here: any command. Specification: ``docs/reference/cli.md``.
"""
