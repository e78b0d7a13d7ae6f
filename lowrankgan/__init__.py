"""Low-Rank Subspaces in GANs (Zhu et al., NeurIPS 2021): local edits without masks."""
