"""Runs plans on the real tritonserver before anybody rents the devices: stand-ins take the profiled times.

Plan ──models──> model.yaml, flow.py ──build──> repository ──stage──> tritonserver, one for each node
  │                                                                        ▲   │ journals of the stand-ins
  └──simulate: predicted                      arrivals ──load──> requests ─┘   ▼
                    └────────────────── report <────────────────────────── measured
"""
