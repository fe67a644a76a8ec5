"""`deckwatch incidents` and `deckwatch ack`: the client of the collector's incidents."""
