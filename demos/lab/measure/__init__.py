"""What the demos' measurements share: parts, training many copies at once, probes, costs, and statistics."""
