"""`deckwatch deadletter`: the client of the collector's dead letters."""
