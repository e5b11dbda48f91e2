"""Photo files: what they are, reading, writing, color profiles and metadata."""
