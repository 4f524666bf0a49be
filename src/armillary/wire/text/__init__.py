# SPDX-License-Identifier: Apache-2.0
"""Text that people write or are shown: names, descriptions, web addresses, addresses within addresses.

Specification: RFC 3986 (addresses), Unicode normal form C (names).
"""
