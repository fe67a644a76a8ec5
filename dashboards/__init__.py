"""Dashboards over what Deckwatch gathers, for the systems that show them."""
