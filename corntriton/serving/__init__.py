"""Finds, starts, watches and stops tritonserver.

folder ──read──> Deployment ─┐
PATH, wheel ──find──> Installation ─┼─launch──> warden ─> tritonserver ─> stubs
interpreter ──ask──> Interpreter ─┘             │ log ──parse──> LogLine ──> sink
                                                └ ends all of them, whatever ends first
"""
