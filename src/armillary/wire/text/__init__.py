# SPDX-License-Identifier: Apache-2.0
"""Checks of text that people write: names, descriptions, web addresses, IP addresses inside IP addresses.

Specification: RFC 3986 (addresses), Unicode normal form C (names).
"""
