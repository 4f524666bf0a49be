# SPDX-License-Identifier: Apache-2.0
"""Commands about who owns devices and how devices are made: catalogs, products, groups, factory runs.

Not here: what is printed how (``cli/terminal``). Specification: ``docs/reference/cli.md``.
"""
