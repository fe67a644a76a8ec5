"""The account of every byte: what came, what became of it, and whether that is all (docs/completeness.md)."""
