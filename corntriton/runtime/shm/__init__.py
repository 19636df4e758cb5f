"""Tensors in memory that processes share: arenas hold them, refs name them, owners end their lives."""
