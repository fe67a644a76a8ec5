"""What stands behind `deckwatch top`. Base dependencies only."""
