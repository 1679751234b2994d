"""Checks that the libraries for training are installed, before anything else is done."""

from __future__ import annotations

from edgebench.errors import Unsupported


def require_training_libraries() -> None:
    """Import torch, timm and safetensors. Raises Unsupported, which says how to install the missing one."""
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401

        from edgebench.training.models import import_timm

        import_timm()
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"training needs the Python module {error.name!r}, which is not installed", "pip install 'edgebench[train]'"
        ) from None
