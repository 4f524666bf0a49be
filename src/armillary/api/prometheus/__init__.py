# SPDX-License-Identifier: Apache-2.0
"""Prometheus' HTTP query API over the hub's values, for Grafana's built-in data source and other clients of Prometheus.

Not an exporter of the service's own counters (``api/http/metrics.py``), and nothing is written by it. The API is
documented at https://prometheus.io/docs/prometheus/latest/querying/api/. Specification: chapter 13, 13.16 to 13.25.
"""
