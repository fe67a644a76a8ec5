"""Offline check of a collector's data directory, and the repairs that can't make anything worse."""
