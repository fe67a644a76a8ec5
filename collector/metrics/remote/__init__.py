"""Prometheus' remote write (v1): what others send us, and what we send to others."""
