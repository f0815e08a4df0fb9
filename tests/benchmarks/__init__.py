"""Timings against other libraries, in ratios: ``python -m tests.benchmarks``.  How to read them: docs/benchmarks.md."""
