"""The options of an ONNX Runtime session that matter for latency, whatever its provider is."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from edgebench.errors import one_of
from edgebench.specs import SessionOptions

if TYPE_CHECKING:
    import onnxruntime

LEVELS = {
    "all": "ORT_ENABLE_ALL", "extended": "ORT_ENABLE_EXTENDED", "basic": "ORT_ENABLE_BASIC", "none": "ORT_DISABLE_ALL",
}  # fmt: skip
SESSION = {"spinning": ("on", "off"), "arena": ("on", "off"), "optimization": tuple(LEVELS)}


def per_request(options: SessionOptions) -> int:
    """Threads for each of the requests in flight, which share the cores."""
    return max(1, (options.threads or 1) // options.streams)


def settings(library: ModuleType, name: str, options: SessionOptions) -> onnxruntime.SessionOptions:
    """The options of a session with the provider of this name."""
    made = library.SessionOptions()
    made.log_severity_level = 3  # its warnings go to stderr; what matters is read back
    if options.threads:
        made.intra_op_num_threads = per_request(options)
    if options.reference:  # else products of int8 overflow 16 bits on x86 without VNNI
        made.add_session_config_entry("session.x64quantprecision", "1")
    default = "off" if name == "xnnpack" else "on"  # its threads would compete with those that spin
    if one_of("ONNX Runtime", {"spinning": default} | options.extra, "spinning", SESSION["spinning"]) == "off":
        made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    made.enable_cpu_mem_arena = one_of("ONNX Runtime", options.extra, "arena", SESSION["arena"]) == "on"
    level = LEVELS[one_of("ONNX Runtime", options.extra, "optimization", SESSION["optimization"])]
    made.graph_optimization_level = getattr(library.GraphOptimizationLevel, level)
    return made
