"""Where a server finds those that it works with: what a user says in, its environment out."""

from __future__ import annotations

import os
from collections.abc import Mapping

from corntriton.errors import Problem, Problems, UserError
from corntriton.runtime.remote.addresses import FORM, VARIABLE, AddressesError, parse
from corntriton.serving.deployment import Deployment


def peers_of(deployments: Mapping[str, Deployment], servers: str | None) -> Mapping[str, str]:
    """What the environment has to say.

    Args:
        deployments: What is served on this machine, by node; several find each other without being told.
        servers: What --servers says; None where it is not given, and the present environment counts.

    Raises:
        UserError: It has another form, or names other roles than those that the server works with.
    """
    if len(deployments) > 1:
        if servers is not None:
            what, fix = "is for the server of one node", "leave it away: the servers of all nodes start here"
            raise UserError([Problem("--servers", servers, what, fix)])
        return {}
    [deployment] = deployments.values()
    place = "--servers" if servers is not None else VARIABLE
    text = servers if servers is not None else os.environ.get(VARIABLE, "")
    if not text:
        return {}
    try:
        named = parse(text)
    except AddressesError as error:
        what, _, fix = str(error).removeprefix(f"{VARIABLE}: ").partition("; To fix: ")
        raise UserError([Problem(place, text, what, fix or FORM)]) from None
    if not deployment.calls:
        if servers is None:
            return {}
        what, fix = "is given, but this server calls no others", "leave it away"
        raise UserError([Problem(place, text, what, fix)])
    _check_roles(deployment, place, named)
    return {VARIABLE: text}


def missing(deployments: Mapping[str, Deployment], environment: Mapping[str, str]) -> str:
    """A warning, where nothing says where the others are."""
    roles = ", ".join(role for deployment in deployments.values() for role in deployment.calls)
    if len(deployments) > 1 or not roles or environment:
        return ""
    what = f"it does not know where the servers of {roles} are: requests that need them are refused"
    return f"{what}; To fix: --servers, or {FORM}"


def _check_roles(deployment: Deployment, place: str, named: Mapping[str, object]) -> None:
    problems, known = Problems(), {deployment.role, *deployment.calls}
    for role in sorted({*named} - known):
        fix = f"the roles of this build are {', '.join(sorted(known))}"
        problems.add(place, role, "is no role of this build", fix)
    for role in sorted({*deployment.calls} - {*named}):
        what = "is not named, and requests may need its servers"
        problems.add(place, role, what, f"add {role}=HOST:PORT, with all servers of that role")
    problems.raise_if_any()
