"""How good looks and networks are, measured on color photos made grey."""
