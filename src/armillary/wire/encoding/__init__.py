# SPDX-License-Identifier: Apache-2.0
"""Encodings that other formats use: CBOR, COSE, PEM, and the fields of JSON objects.

Specification: RFC 8949 (deterministic CBOR), RFC 9052 (COSE), RFC 7468 (PEM), RFC 8259 (JSON).
"""
