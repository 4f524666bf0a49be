# SPDX-License-Identifier: Apache-2.0
"""The search over everything: its page, and what the command palette offers.

It is not where things are found (``service/search.py``, ``platform/authored``): it lays out hits and leads to them.
"""
