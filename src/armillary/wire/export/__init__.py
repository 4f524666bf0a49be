# SPDX-License-Identifier: Apache-2.0
"""Formats of exported data: archives of a platform's documents, CSV, and the signatures of requests to S3.

Specification: RFC 4180 (CSV), AWS Signature Version 4.
"""
