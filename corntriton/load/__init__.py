"""Sends requests to a deployment and judges what comes back: examples in, latencies and goodput out."""
