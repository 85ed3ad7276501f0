"""
Register BDA with moto: an entry in its index of backends for each of the two APIs, and a module for the entry.

moto has no place to register a backend from outside. ``mock_aws`` and the server both look a request's host up in
``moto.backend_index.backend_url_patterns`` and import ``moto.<name>``, from which they take ``<name>_backends``. (The
server must also find out which host a request is for: a subclass in :mod:`airflow_bda.emulator.server.dispatch`.)
"""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

# moto's rule: the service's name without its dashes. Its BackendDict must be called <name>_backends.
BACKEND_NAME = "bedrockdataautomationruntime"
URL_BASES = (
    r"https?://bedrock-data-automation-runtime(?:-fips)?\.(.+)\.amazonaws\.com",
    r"https?://bedrock-data-automation-runtime(?:-fips)?\.(.+)\.api\.aws",
)
CONTROL_BACKEND_NAME = "bedrockdataautomation"
CONTROL_URL_BASES = (
    r"https?://bedrock-data-automation(?:-fips)?\.(.+)\.amazonaws\.com",
    r"https?://bedrock-data-automation(?:-fips)?\.(.+)\.api\.aws",
)

_INDEX = "moto.backend_index"
_BACKENDS = (
    (BACKEND_NAME, "airflow_bda.emulator.runtime.runtime_api", URL_BASES),
    (CONTROL_BACKEND_NAME, "airflow_bda.emulator.control_plane.control_api", CONTROL_URL_BASES),
)


def register() -> None:
    """Register BDA with moto: now where moto is loaded, else when it is loaded."""
    if f"moto.{BACKEND_NAME}" in sys.modules:
        return
    for backend_name, module, _ in _BACKENDS:
        sys.modules[f"moto.{backend_name}"] = _alias(backend_name, module)
    if _INDEX in sys.modules:
        _add_entry(sys.modules[_INDEX])
    else:
        sys.meta_path.insert(0, _IndexWatcher())


def _alias(backend_name: str, module: str) -> ModuleType:
    """Return a module under moto's own name that loads our backends when they are first used."""

    def load_name(name: str) -> Any:
        return getattr(import_module(module), name)

    alias = ModuleType(f"moto.{backend_name}", "Amazon Bedrock Data Automation, from airflow_bda.emulator.")
    vars(alias)["__getattr__"] = load_name
    return alias


def _add_entry(index: ModuleType) -> None:
    index.backend_url_patterns.extend(
        (backend_name, re.compile(url_base)) for backend_name, _, url_bases in _BACKENDS for url_base in url_bases
    )


class _IndexWatcher(MetaPathFinder):
    """
    Waits for the import of moto's index, adds our entries to it, and removes itself.

    The pytest plugin is a part of this package, and every pytest run where the package is installed imports it: to load
    moto there would cost each of those runs half a second, and fail where moto is not installed.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  the signature is importlib's
        target: ModuleType | None = None,  # noqa: ARG002  the signature is importlib's
    ) -> ModuleSpec | None:
        if fullname != _INDEX:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _IndexLoader(spec.loader)
        return spec


class _IndexLoader(Loader):
    """Loads moto's index as its own loader does, then adds our entry."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Tools that look for a module's source ask its loader; they find its own one.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _add_entry(module)


@cache
def bda_regions() -> list[str]:
    """Return the regions to answer in: botocore lists none for BDA, so EC2's, and all that AWS's profile table has."""
    # Late, as all of botocore here: the pytest plugin leads to this module.
    from botocore.loaders import Loader
    from botocore.regions import EndpointResolver

    from airflow_bda.service.arns import PROFILE_OF_REGION

    # Not by a session: one would fail where AWS_PROFILE names a profile that is not there.
    resolver = EndpointResolver(Loader().load_data("endpoints"))
    partitions = resolver.get_available_partitions()
    listed = {region for name in partitions for region in resolver.get_available_endpoints("ec2", name)}
    return sorted(listed | set(PROFILE_OF_REGION))
