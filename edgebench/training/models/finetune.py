"""Decides which parts of a network learn, and how fast: freezing, and parameter groups for the optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch
from typing import Any

from torch import nn

from edgebench.errors import UsageError
from edgebench.training.models.names import import_timm

# The share of the running statistics that an epoch renews. With torch's momentum of 0.1, 1,300 images in batches of 64
# reach 0.88.
RENEWED = 0.8


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """The modules that turn features into logits: the ones that timm names, or else the last linear layer."""
    names = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    names = (names,) if isinstance(names, str) else tuple(names)
    known = dict(model.named_modules())
    if names and all(name in known for name in names):
        return names
    linear = [name for name, module in known.items() if name and isinstance(module, nn.Linear)]
    return tuple(linear[-1:])


def linear_head(network: nn.Module, classes: int) -> nn.Linear | None:
    """The one linear layer that turns features into logits, if the network has it."""
    names = classifier_names(network)
    head = network.get_submodule(names[0]) if len(names) == 1 else None
    return head if isinstance(head, nn.Linear) and head.out_features == classes else None


def freeze(model: nn.Module) -> None:
    """Let only the classifier learn (a linear probe). Call `keep_frozen` after each `model.train()`.

    Raises UsageError if the model has no linear layer that could be the classifier, or nothing else.
    """
    heads = classifier_names(model)
    learning = [_in(name, heads) for name, _ in model.named_parameters()]
    if not any(learning) or all(learning):
        raise UsageError("the model has no classifier apart from its body", "drop --freeze: train all of it")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_in(name, heads))


def keep_frozen(model: nn.Module) -> None:
    """Put a frozen body back into eval mode after `model.train()`. Does nothing to a model that is not frozen.

    Otherwise batch normalisation would learn the statistics of the new data, and dropout would blur the features.
    """
    heads = classifier_names(model)
    if all(not parameter.requires_grad for name, parameter in model.named_parameters() if not _in(name, heads)):
        model.eval()
        for head in heads:
            model.get_submodule(head).train()


def hasten_statistics(model: nn.Module, batches: int) -> bool:
    """Raise the momentum of batch normalisation so that an epoch of `batches` renews at least 80 % of its statistics.

    Networks made for a million images may move them by 1 % a batch (timm's tf_efficientnet family). On a thousand
    images the statistics would still be near their initial values when the weights are trained: measured, 0.68 of the
    training images were right and 0.25 of the validation images. Called again, it begins with the network's own
    momentum. Returns whether any was too low.
    """
    least = 1 - (1 - RENEWED) ** (1 / batches)
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.momentum is not None]
    for norm in norms:
        norm.own_momentum = getattr(norm, "own_momentum", norm.momentum)
        norm.momentum = max(norm.own_momentum, least)
    return any(norm.own_momentum < least for norm in norms)


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Groups of the parameters that are not frozen, for a torch optimizer, each with `params`, `lr` and `weight_decay`.

    Norms, biases and what the model's `no_weight_decay()` names are not decayed. `layer_decay` in (0, 1] multiplies the
    learning rate once for each layer between the group and the head (Bao et al., BEiT, arXiv:2106.08254). timm counts
    the layers; in a network that is not timm's, every twelve tensors are a layer.
    """
    import_timm()
    from timm.optim import param_groups_layer_decay, param_groups_weight_decay

    patterns = set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()
    named = [(name, parameter) for name, parameter in model.named_parameters()]
    kept = [
        name
        for name, parameter in named
        if name.endswith(".bias") or any(fnmatch(name, pattern) for pattern in patterns)
    ]
    if layer_decay == 1:
        groups = param_groups_weight_decay(model, weight_decay, no_weight_decay_list=kept)
    else:
        if not 0 < layer_decay <= 1:
            raise UsageError(f"the layer decay is {layer_decay:g}", "give a number above 0 and at most 1, such as 0.75")
        if not hasattr(model, "group_matcher") and not getattr(model, "pretrained_cfg", None):
            model.pretrained_cfg = {"classifier": classifier_names(model)}  # timm counts layers from the classifier
        groups = param_groups_layer_decay(model, weight_decay, no_weight_decay_list=kept, layer_decay=layer_decay)
    return [
        {"params": group["params"], "weight_decay": group["weight_decay"], "lr": lr * group.get("lr_scale", 1.0)}
        for group in groups
    ]


def _in(name: str, modules: Iterable[str]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)
