# SPDX-License-Identifier: Apache-2.0
"""Commands for catalogs, products, device groups, their certificates, enrolment tokens and factory runs.

What it is not: printing (``cli/terminal``). Specification: ``docs/reference/cli.md``.
"""
