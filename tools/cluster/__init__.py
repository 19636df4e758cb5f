"""Several tritonservers on one machine, as if on several: for the drill and the soak over servers.

clients ──> HAProxy ──front──> server  server  server        a pod each: own network, own /dev/shm, own
                                  └──back──┴──back──┘        process ids, and a clock of its own

Pods need root and Linux's namespaces. Without them servers stand side by side on loopback, each with a folder
of its own in /dev/shm; then there are no links to limit, count or cut.
"""
