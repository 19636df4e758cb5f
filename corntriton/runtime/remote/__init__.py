"""Calls of components on other servers, from an orchestrator whose plan has several nodes.

Orchestrator ─> Engine ─> RemoteWay ──gRPC──> component on T          one event loop, on a thread of its own
                            │  └ Visit: which server of each role a request has drawn, its lease on each
                            └ Servers: the addresses of each role, who of them is up

Imported where a build has targets on other servers, and only there.
"""
