"""How the two networks of a comparison, without and with Batch Normalization, are called and drawn."""

from . import plots

NAMES = {"plain": "plain", "bn": "with BN"}
COLORS = {"plain": plots.PLAIN, "bn": plots.BN}
