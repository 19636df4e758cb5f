"""The image of a role: what a Dockerfile needs beside the models; a role in, files out."""

from __future__ import annotations

import hashlib

from corntriton.deploy.backends import REGISTRY, image
from corntriton.deploy.flags import ADMIN_HEADER, server_flags
from corntriton.deploy.site import Files, Role, Site
from corntriton.repository.templates import Templates
from corntriton.resources import resource_dir

ENGINE_TOOL = "build_trt_engine.py"
_TAG_LENGTH = 12


def image_name(site: Site, role: Role) -> str:
    """The image's name, without a registry; equal builds and releases have equal ones."""
    digest = hashlib.sha256(role.manifest.to_json().encode()).hexdigest()
    return f"corntriton/{role.name}:{site.release}-{digest[:_TAG_LENGTH]}"


def image_files(site: Site, role: Role, templates: Templates, folder: str) -> Files:
    """A folder to build an image in.

    Args:
        site: The whole.
        role: Whose image.
        templates: Where they are.
        folder: Below OUT, empty or with a slash behind.
    """
    values = {
        "site": site,
        "role": role,
        "base": image(role.backends, site.release),
        "tensorrt": f"{REGISTRY}/tensorrt:{site.release}-py3",
        "image": image_name(site, role),
        "kept": " ".join(f"! -name {backend}" for backend in role.backends),
        "flags": list(server_flags(role)),
        "admin_header": ADMIN_HEADER,
    }
    files = {
        "Dockerfile": templates.render("deploy/Dockerfile.j2", values),
        "serve.sh": templates.render("deploy/serve.sh.j2", values),
    }
    if role.manifest.requirements:
        files["requirements.txt"] = "".join(f"{each}\n" for each in role.manifest.requirements)
    if role.builds_engines:
        files[ENGINE_TOOL] = (resource_dir("tools") / ENGINE_TOOL).read_text(encoding="utf-8")
    return {f"{folder}{name}": text for name, text in files.items()}
