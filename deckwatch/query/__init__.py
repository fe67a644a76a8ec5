"""`deckwatch query`: PromQL in the terminal, asked by Prometheus' HTTP API."""
