"""Retrieval metrics, probes, calibration and reports."""
