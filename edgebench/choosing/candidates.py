"""The candidates of a pick that names none: networks for the edge with weights under permissive licences."""

from __future__ import annotations

# Small ones of many families, those first that are most likely to be chosen: where time is short, the last are not
# looked at. timm has weights for each, under a licence that lets everybody use them, and each has a linear classifier.
LEARNED = (
    "mobilenetv3", "tf_efficientnet_lite0", "mobilenetv4", "efficientvit", "resnet18", "efficientnet_b0",
    "mobilenetv4_conv_medium", "repvgg", "mobilenetv3_small_100", "convnext_atto", "regnety_004", "hgnetv2_b0",
    "deit_tiny_patch16_224", "mobilenetv2_100", "efficientvit_b1", "mobilenetv1_100", "rexnet_100", "starnet_s1",
    "ghostnet_100", "mambaout_femto", "pvt_v2_b0", "lcnet_100", "fbnetc_100", "tinynet_a", "resnet10t",
    "mobilenetv3_small_050",
)  # fmt: skip
# Where no weights can be had at all: random ones learn slowly, so there is no time for many.
RANDOM = ("mobilenetv3_small_050", "mobilenetv4", "efficientvit", "resnet18")
