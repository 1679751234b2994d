"""The short names of backbones, in groups; loads no library."""

from __future__ import annotations

# The short names that a user types, and the timm model of each. Of a family with several sizes, the smallest for which
# timm has ImageNet weights.
GROUPS = {
    "the seven backbones": {
        "convnext_v2_tiny": "convnextv2_tiny",
        "efficientnetv2_s": "tf_efficientnetv2_s",
        "mobilenetv3": "mobilenetv3_large_100",
        "resnet50": "resnet50",
        "vit_base": "vit_base_patch16_224",
        "deit_small": "deit_small_patch16_224",
        "swin_tiny": "swin_tiny_patch4_window7_224",
    },
    "hybrids of convolution and attention": {
        "coatnet": "coatnet_nano_rw_224",
        "caformer": "caformer_s18",
        "fastvit": "fastvit_t8",
        "efficientvit": "efficientvit_b0",
        "mobilenetv4_hybrid": "mobilenetv4_hybrid_medium",
        "pvt": "pvt_v2_b0",
    },
    "made for the edge": {
        "mobilenetv4": "mobilenetv4_conv_small",
        "repvgg": "repvgg_a0",
        "resnet_mini": "test_resnet",  # 0.37 M parameters; made to test timm, and good at small images
        "poolformer": "poolformer_s12",
        "cpubone": "cpubone_nano",
    },
    "vision encoders of VLMs and VLAs": {
        "siglip": "vit_base_patch16_siglip_gap_224.webli",
        "siglip2": "vit_base_patch16_siglip_gap_224.v2_webli",
        "dinov2": "vit_small_patch14_dinov2",
        "dinov3": "vit_small_patch16_dinov3",
        "eupe": "vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m",
        "mobileclip": "fastvit_mci0",  # timm's name for the image encoder of MobileCLIP-S0
        "mobileclip2": "fastvit_mci0.apple_mclip2_dfndr2b",
        "pe": "vit_pe_core_tiny_patch16_384",
    },
}
SHORT_NAMES = {short: timm_name for group in GROUPS.values() for short, timm_name in group.items()}
# The first timm that has the network and its weights, for what the oldest timm that we take may lack.
SINCE = {
    "siglip": "1.0.15", "siglip2": "1.0.15", "pe": "1.0.17", "dinov3": "1.0.20", "mobileclip2": "1.0.20",
    "eupe": "1.0.28", "cpubone": "1.0.29",
}  # fmt: skip
