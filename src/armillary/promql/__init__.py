# SPDX-License-Identifier: Apache-2.0
"""Prometheus' query language over samples that somebody else reads: selectors, functions, aggregations, operators.

Not the HTTP API (``api/prometheus``), nor the storage, which is behind :class:`~armillary.promql.evaluation.Source`.
The language: https://prometheus.io/docs/prometheus/latest/querying/basics/. What of it is missing is refused with one
error that names it. Specification: chapter 13, 13.16 to 13.25.
"""
