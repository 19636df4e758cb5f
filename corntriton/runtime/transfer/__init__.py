"""Tensors over the network: each server of a several-node build pulls what it needs from where it was made.

orchestrator ── bring(refs) ──> transfer model of T ──> Lease, an owner of T ──> Puller ── read ──> that of S
     <── refs to copies in T's arena ──┘                                           <── ranges of a tensor ──┘

Every server has the model `corntriton_transfer`; who speaks to another server's does so through a `Peer`.
Refs to memory of a GPU do not cross servers: who makes a tensor gives a ref on the host beside it.
"""
