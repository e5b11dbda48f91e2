"""Networks: which there are, where their weights come from, and how a small luma becomes a small chroma."""
