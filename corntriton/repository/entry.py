"""How requests enter several servers that work as one: a plan's shares in, those of one server's routes out.

A balancer in front gives every server as many requests as any other. A server prefers routes that begin with
it, which spares its requests a hop, and hands what it has too much of to those who have too little: so that
all servers together still send the plan's share along every route.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corntriton.repository.roles import Role

_NOTHING = 1e-12  # what is left of floating point numbers that should be equal


def entry_shares(own: str, roles: Sequence[Role], homes: Mapping[str, float]) -> dict[str, float]:
    """How a server shares out the requests that come to it; adds up to one.

    With S what belongs to a home and e what a balancer gives the home's servers together, a server keeps
    min(1, S / e) of what it gets. The rest goes to the homes with S > e, in proportion to S - e. So each home
    gets its S: min(S, e) from its own servers, and what is missing from the others.

    Args:
        own: The server's role.
        roles: All of them; a balancer gives each as much as it has nodes.
        homes: By role, the share of the requests that belong to it; adds up to one.
    """
    n_nodes = sum(len(role.nodes) for role in roles)
    missing = {role.name: homes.get(role.name, 0.0) - len(role.nodes) / n_nodes for role in roles}
    n_own = next(len(role.nodes) for role in roles if role.name == own)
    wanted = sum(each for each in missing.values() if each > 0)
    if wanted < _NOTHING:
        return {own: 1.0}
    rest = 1 - min(1.0, homes.get(own, 0.0) * n_nodes / n_own)
    shares = {name: rest * max(0.0, each) / wanted for name, each in missing.items()}
    return {**shares, own: shares[own] + 1 - rest}
