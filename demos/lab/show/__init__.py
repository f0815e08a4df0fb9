"""What the demos show with: blocks, plots, drawings, numbers as text, the terminal and the report."""
