"""edgebench: which vision backbone, exported how, run by which runtime, should go on this robot?

`edgebench.train(...)`, `export`, `run` and the others of `__all__` do what the commands do (docs/api.md). They are
loaded when they are first asked for, so that `import edgebench` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebench import results
    from edgebench.api import evaluate, export, lint, run, select, train
    from edgebench.api_search import adopt, compare, data, estimate, history, pick, probe, study, sweep, tune

__version__ = "0.1.0"
__all__ = [
    "__version__", "adopt", "compare", "data", "estimate", "evaluate", "export", "history", "lint", "pick", "probe",
    "results", "run", "select", "study", "sweep", "train", "tune",
]  # fmt: skip
# those of api_search.py; the other functions are in api.py
SEARCHES = ("adopt", "compare", "data", "estimate", "history", "pick", "probe", "study", "sweep", "tune")


if not TYPE_CHECKING:  # to a type checker every other name is an error

    def __getattr__(name: str) -> Any:
        import importlib

        if name == "results":
            return importlib.import_module("edgebench.results")
        if name in __all__:
            file = "api_search" if name in SEARCHES else "api"
            return getattr(importlib.import_module(f"edgebench.{file}"), name)
        raise AttributeError(f"module 'edgebench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
