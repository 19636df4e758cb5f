"""Finds the best deployment of a workload on a cluster, with proof."""
