"""The two networks of a comparison, without and with Batch Normalization: which has it."""

ARMS = {"plain": False, "bn": True}
