"""What the demos share: what a demo is, training many copies at once, statistics, plots, running, and the report."""
