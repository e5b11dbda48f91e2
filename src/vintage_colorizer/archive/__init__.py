"""Many inputs: where they lie, what their results are called, and what is done already."""
