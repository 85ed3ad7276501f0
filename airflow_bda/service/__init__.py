"""What BDA is: requests, ARNs, profiles, statuses, results. No Airflow, no client, no I/O."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Modules that the reference named before they moved. Their old names work for one release.
_MOVED = {
    f"{__name__}.custom_output": f"{__name__}.results.custom",
    f"{__name__}.document_output": f"{__name__}.results.document",
    f"{__name__}.job_metadata": f"{__name__}.results.metadata",
    f"{__name__}.media_output": f"{__name__}.results.media",
    f"{__name__}.output_parts": f"{__name__}.results.parts",
}


class _MovedModules:
    """Find a module by its old name: it has all names of the module that replaced it."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG004  the import system passes all three
        return ModuleSpec(name, _MovedModules()) if name in _MOVED else None  # type: ignore[arg-type]  # has what a loader needs

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        new = _MOVED[spec.name]
        warnings.warn(
            f"{spec.name} is now {new}; the old name goes in the next release.", DeprecationWarning, stacklevel=2
        )
        return ModuleType(spec.name, import_module(new).__doc__)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        new = import_module(_MOVED[module.__name__])
        module.__dict__.update({name: value for name, value in vars(new).items() if not name.startswith("__")})


if _MovedModules not in sys.meta_path:
    sys.meta_path.append(_MovedModules)
