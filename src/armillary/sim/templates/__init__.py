# SPDX-License-Identifier: Apache-2.0
"""Simulates the devices of application templates: signals, behaviour, connections. Every value is made up.

What it is not: the templates (``armillary.content``). Specification: ``docs/guides/templates.md``.
"""
