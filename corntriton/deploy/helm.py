"""Emits a Helm chart with a Deployment for each role, and the folders to build the roles' images in."""

from __future__ import annotations

from corntriton.deploy.dashboard import dashboard
from corntriton.deploy.flags import ADMIN_HEADER
from corntriton.deploy.image import image_files, image_name
from corntriton.deploy.site import Files, Site
from corntriton.repository.templates import Templates
from corntriton.resources import resource_dir

CHART = "chart"
_SOURCE = "deploy/chart"
# Go's templates and ours look alike: only what ends so is rendered, the rest is Helm's.
_OURS = ".j2"


def emit(site: Site, templates: Templates) -> Files:
    """The chart in `chart/`, the images in `images/<role>/`."""
    images: dict[str, str] = {}
    for role in site.roles:
        images |= image_files(site, role, templates, site.place_of(role, "images"))
    return {
        **{f"{CHART}/{path}": text for path, text in _chart(site, templates).items()},
        f"{CHART}/dashboards/corntriton.json": dashboard(),
        **images,
    }


def _chart(site: Site, templates: Templates) -> Files:
    values = {
        "site": site,
        "images": {role.name: image_name(site, role).rpartition(":") for role in site.roles},
        "admin_header": ADMIN_HEADER,
    }
    source = resource_dir("model_repository_templates") / _SOURCE
    files = {}
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source).as_posix()
        if name.endswith(_OURS):
            files[name.removesuffix(_OURS)] = templates.render(f"{_SOURCE}/{name}", values)
        else:
            files[name] = file.read_text(encoding="utf-8")
    return files
