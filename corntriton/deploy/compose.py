"""Emits a compose.yaml for the machine of each role, beside the image that it builds."""

from __future__ import annotations

from corntriton.deploy.image import image_files, image_name
from corntriton.deploy.site import GRPC_PORT, HTTP_PORT, METRICS_PORT, USER_ID, Files, Role, Site
from corntriton.repository.templates import Templates


def emit(site: Site, templates: Templates) -> Files:
    """For each role a folder to run `docker compose up` in; the models stay where the build has them."""
    return {path: text for role in site.roles for path, text in _of_role(site, role, templates).items()}


def _of_role(site: Site, role: Role, templates: Templates) -> Files:
    folder = site.place_of(role)
    values = {
        "role": role,
        "peers": site.peers,
        "image": image_name(site, role),
        "repository": str(role.repository.resolve()),
        "ports": (HTTP_PORT, GRPC_PORT, METRICS_PORT),
        "user": USER_ID,
    }
    return {
        f"{folder}compose.yaml": templates.render("deploy/compose.yaml.j2", values),
        **image_files(site, role, templates, folder),
    }
