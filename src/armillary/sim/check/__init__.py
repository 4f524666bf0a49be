# SPDX-License-Identifier: Apache-2.0
"""Validates all shipped content (chips, flash, boards, applications, application templates) with the code that uses it.

What it is not: the content (``armillary.content``). Run it with ``python -m armillary.sim.check``. Specification: each
check's docstring; what a template holds is described in ``content/application_templates.py``.
"""
