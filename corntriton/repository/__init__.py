"""Turns specs (and a plan) into a Triton model repository."""
