"""ros2_node.py of a deployed folder, against stand-ins with the fields of the real messages."""

from __future__ import annotations

import array
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_infer import CLASSES, program

from edgebench.report import deploy

# sensor_msgs/Image, vision_msgs/Classification and vision_msgs/ObjectHypothesis, as ROS 2 defines them
DEFINITIONS = {
    "Image": "header height width encoding is_bigendian step data",
    "Classification": "header results",
    "ObjectHypothesis": "class_id score",
}


def message(name: str) -> type:
    """A class as rosidl makes it: its fields and no others, given by keyword."""
    fields = DEFINITIONS[name].split()

    class Message:
        __slots__ = fields

        def __init__(self, **given: Any) -> None:
            assert given.keys() <= set(fields)
            for field in fields:
                setattr(self, field, given.get(field))

    return Message


IMAGE, CLASSIFICATION, HYPOTHESIS = map(message, DEFINITIONS)


class Node:
    parameters: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, name: str) -> None:
        self.published: list[Any] = []
        self.errors: list[str] = []

    def declare_parameter(self, name: str, value: Any) -> SimpleNamespace:
        return SimpleNamespace(value=self.parameters.get(name, value))

    def create_publisher(self, kind: type, topic: str, depth: int) -> SimpleNamespace:
        assert (kind, topic) == (CLASSIFICATION, "classification")
        return SimpleNamespace(publish=self.published.append)

    def create_subscription(self, kind: type, topic: str, callback: Any, profile: Any) -> None:
        assert (kind, topic, profile.depth) == (IMAGE, "image", 1)

    def get_logger(self) -> SimpleNamespace:
        return SimpleNamespace(error=lambda text, throttle_duration_sec: self.errors.append(text))


@pytest.fixture
def node_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the node with these parameters."""
    modules = {
        "rclpy": {}, "rclpy.node": {"Node": Node}, "rclpy.executors": {"ExternalShutdownException": KeyError},
        "rclpy.qos": {"QoSProfile": SimpleNamespace, "ReliabilityPolicy": SimpleNamespace(BEST_EFFORT=2)},
        "sensor_msgs": {}, "sensor_msgs.msg": {"Image": IMAGE}, "vision_msgs": {},
        "vision_msgs.msg": {"Classification": CLASSIFICATION, "ObjectHypothesis": HYPOTHESIS},
        "infer": program(tmp_path),
    }  # fmt: skip
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update({key: value for key, value in content.items() if not key.startswith("__")})
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "path", list(sys.path))
    names = {"__name__": "ros2_node", "__file__": str(tmp_path / "ros2_node.py")}
    exec(compile(deploy.ROS2.read_text(), "ros2_node.py", "exec"), names)

    def make(**parameters: Any) -> Any:
        monkeypatch.setattr(Node, "parameters", parameters)
        return names["Classifier"]()

    return make


def image(encoding: str, pixels: np.ndarray, padding: int = 0, big: bool = False) -> Any:
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return IMAGE(
        header="stamp", height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=big,
        step=padded.shape[1], data=array.array("B", padded.tobytes()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", np.full((4, 5, 3), 255, np.uint8)), ("bgra8", np.full((4, 5, 4), 255, np.uint8)),
        ("mono8", np.full((4, 5), 255, np.uint8)), ("mono16", np.full((4, 5), 65535, np.uint16)),
    ],
)  # fmt: skip
def test_a_frame_becomes_a_classification(node_of: Any, encoding: str, pixels: np.ndarray) -> None:
    node = node_of(top=2)
    node.on_image(image(encoding, pixels, padding=3))
    (answer,) = node.published
    assert answer.header == "stamp" and [each.class_id for each in answer.results] == ["light", "50% grey"]
    assert 0.9 < answer.results[0].score <= 1


def test_channels_and_byte_order(node_of: Any) -> None:
    picture = sys.modules["infer"] and node_of().on_image.__globals__["picture"]
    blue = np.tile(np.array([255, 10, 0], np.uint8), (2, 2, 1))
    assert picture(image("bgr8", blue)).getpixel((0, 0)) == (0, 10, 255)
    assert picture(image("mono16", np.full((2, 2), 258, ">u2"), big=True)).getpixel((0, 0)) == 258


def test_what_is_not_sure_has_no_result(node_of: Any) -> None:
    node = node_of(threshold=0.99)
    node.on_image(image("mono8", np.full((4, 4), 64, np.uint8)))
    assert [answer.results for answer in node.published] == [None]


def test_a_frame_that_is_not_understood_stops_nothing(node_of: Any) -> None:
    node = node_of()
    node.on_image(image("yuv422", np.zeros((4, 4), np.uint16)))
    cut = image("mono8", np.zeros((4, 4), np.uint8))
    cut.data = cut.data[:3]
    node.on_image(cut)
    assert not node.published and "'yuv422' are not understood" in node.errors[0] and "not whole" in node.errors[1]
    node.on_image(image("mono8", np.zeros((4, 4), np.uint8)))
    assert node.published[0].results[0].class_id == CLASSES[0]


def test_without_ros_it_says_what_to_source(tmp_path: Path) -> None:
    node = shutil.copyfile(deploy.ROS2, tmp_path / "ros2_node.py")
    (tmp_path / "infer.py").write_text("")
    done = subprocess.run([sys.executable, node], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "this is a node of ROS 2: No module named 'rclpy' (source /opt/ros/" in done.stderr
