"""A Prometheus-compatible system in place of the embedded history: queries go there, rules read from there."""
