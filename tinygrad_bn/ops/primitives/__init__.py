"""The primitives: every operation that has a derivative rule of its own, by family.  Everything else is composed."""
