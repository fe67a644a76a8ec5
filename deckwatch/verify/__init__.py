"""What `deckwatch verify` and `deckwatch gaps` are made of: what collector and agents say, compared, and shown."""
