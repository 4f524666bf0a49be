# SPDX-License-Identifier: Apache-2.0
"""What every page shares: sign-in, sessions, the form guard, forms, sheets, words, assets.

Not here: any noun's page. Specification: ``docs/guides/operate.md``.
"""
