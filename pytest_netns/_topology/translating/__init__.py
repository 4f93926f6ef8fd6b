"""NATs: their rules, and their mappings."""
