"""`deckwatch oncall`: the client of the collector's on-call schedules."""
