"""Emits images on NVIDIA's containers, the models in them; one folder for each role."""

from __future__ import annotations

from corntriton.deploy.image import image_files
from corntriton.deploy.site import Files, Site
from corntriton.repository.templates import Templates


def emit(site: Site, templates: Templates) -> Files:
    """A Dockerfile and what it copies, for each role."""
    return {
        path: text
        for role in site.roles
        for path, text in image_files(site, role, templates, site.place_of(role)).items()
    }
