"""A network as a body that makes features and a linear classifier that reads them."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from edgebench.artifact import preprocess
from edgebench.errors import UsageError
from edgebench.specs import ModelInfo, Preprocessing
from edgebench.training.models.finetune import classifier_names


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network with its weights. `layer`: the name of its classifier; `width`: how many features that reads."""

    network: nn.Module
    info: ModelInfo
    preprocessing: Preprocessing
    layer: str
    width: int

    def facts(self) -> dict[str, Any]:
        """All that the features of an image depend on, except for what computes them."""
        info = self.info
        built = {key: value for key, value in info.arguments.items() if key != "num_classes"}
        return {
            "network": info.timm_name or info.name, "file": info.file_sha256, "built": built, "strides": info.strides,
            "weights": self.weights_sha256(), "layer": self.layer, "preprocessing": self.preprocessing,
        }  # fmt: skip

    def weights_sha256(self) -> str:
        """sha256 of the body's weights, independent of the file that they came in."""
        digest = hashlib.sha256()
        for name, tensor in self.network.state_dict().items():
            if not name.startswith(f"{self.layer}."):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
        return digest.hexdigest()

    def body(self) -> tuple[nn.Module, ModelInfo]:
        """The same network with a classifier that passes the features on, so that they are what it puts out.

        It is a network like any other, with as many classes as there are features: every exporter and runtime takes it.
        """
        body = copy.deepcopy(self.network)
        through = nn.Linear(self.width, self.width)
        with torch.no_grad():
            through.weight.copy_(torch.eye(self.width))
            through.bias.zero_()
        _replace(body, self.layer, through)
        arguments = self.info.arguments | {"num_classes": self.width}
        return body.eval(), replace(self.info, arguments=arguments)

    def with_classifier(self, weight: np.ndarray, bias: np.ndarray) -> nn.Module:
        """The network with this classifier: weight (classes, width), bias (classes,)."""
        classifier = self.network.get_submodule(self.layer)
        with torch.no_grad():
            classifier.weight.copy_(torch.from_numpy(weight))
            classifier.bias.copy_(torch.from_numpy(bias))
        return self.network.eval()


def divided(network: nn.Module, info: ModelInfo, preprocessing: Preprocessing) -> Backbone:
    """Find the network's classifier. Raises UsageError unless it is one linear layer that gives the logits."""
    heads = classifier_names(network)
    layers = [network.get_submodule(head) for head in heads]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear) or layers[0].bias is None or not heads[0]:
        found = ", ".join(f"{name} ({type(layer).__name__})" for name, layer in zip(heads, layers, strict=True))
        raise UsageError(
            f"{info.name} has no linear classifier apart from its body: {found or 'it has no linear layer'}",
            "another backbone, or `edgebench train`, which trains all of it",
        )
    backbone = Backbone(
        network=network, info=info, preprocessing=preprocessing, layer=heads[0], width=layers[0].in_features
    )
    _check(backbone)
    return backbone


def _check(backbone: Backbone) -> None:
    """Raise UsageError if something follows the classifier, or what enters it is no plain row of features."""
    size = backbone.preprocessing.height
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    images = torch.from_numpy(preprocess(noise, backbone.preprocessing))
    seen: list[torch.Tensor] = []
    body, _ = backbone.body()
    hook = body.get_submodule(backbone.layer).register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        out = body(images)
    hook.remove()
    if len(seen) != 1 or seen[0].shape != (2, backbone.width) or not torch.equal(out, seen[0]):
        raise UsageError(
            f"the answers of {backbone.info.name} are not those of its last linear layer, {backbone.layer}",
            "another backbone, or `edgebench train`, which trains all of it",
        )


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, layer)
