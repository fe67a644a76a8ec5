"""What was accepted and could not be taken for what it claimed to be: kept whole, with the reason, and tried again."""
