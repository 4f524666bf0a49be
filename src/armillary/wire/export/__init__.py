# SPDX-License-Identifier: Apache-2.0
"""Forms in which data leaves: archives of an application, CSV, S3's signatures.

Specification: RFC 4180 (CSV), AWS Signature Version 4.
"""
