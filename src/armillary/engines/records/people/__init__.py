# SPDX-License-Identifier: Apache-2.0
"""Rows of people who sign in by a provider, and of what each is granted.

Not here: who may be let in, and what a grant reaches (``service/people``).
"""
