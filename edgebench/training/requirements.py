"""Whether the libraries that training needs are there, asked before anything is done with them."""

from __future__ import annotations

from edgebench.errors import Unsupported


def require_training_libraries() -> None:
    """Load torch and what else training needs. Raises Unsupported that says how to install what is missing."""
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401

        from edgebench.training.models import import_timm

        import_timm()
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"training needs the Python module {error.name!r}, which is not installed", "pip install 'edgebench[train]'"
        ) from None
