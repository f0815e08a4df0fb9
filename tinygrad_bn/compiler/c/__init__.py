"""Kernels as C: expressions, loops, the whole text; BLAS, the system's compiler, and what it has built before."""
