"""The two networks of a comparison, without and with Batch Normalization: which has it, and how it is called and drawn."""

from . import plots

ARMS = {"plain": False, "bn": True}
NAMES = {"plain": "plain", "bn": "with BN"}
COLORS = {"plain": plots.PLAIN, "bn": plots.BN}
