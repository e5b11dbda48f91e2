"""Films: a first look, a plan, segments colored one by one, and the join."""
