"""Pretrained generators, one file an architecture, and the formats their weights come in."""
