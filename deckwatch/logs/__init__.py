"""What `deckwatch logs` is made of: the API's client, the choice of records, how they are shown."""
