"""Operations composed of primitives: no rule of their own, so their derivatives follow.  Spelled as in NumPy."""
