"""Measures components on the real server: models in, profiles out.

examples ──flow, component by component──> items ─┐
models ──repository──> tritonserver ──────────────┴─ points ─> times, memory, bytes ─> profiles.json
                                                      └─> journal: what an interrupted run goes on from
"""
