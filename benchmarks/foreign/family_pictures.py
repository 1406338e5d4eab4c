"""Nets over pictures, films and pairs of picture and text, of `transformers`."""

from __future__ import annotations

from foreign.families import (
    IMAGE,
    SEGFORMER,
    TEXT,
    detector,
    family,
    frames,
    ids,
    large,
    pixels,
    real_time,
)
from foreign.journey import Builder

PICTURES: dict[str, Builder] = {
    "detr": detector("Detr", {}),
    "detr_boxes": detector("Detr", {"num_labels": 4}, "ForObjectDetection"),
    "conditional_detr": detector("ConditionalDetr", {}),
    "table_transformer": detector("TableTransformer", {}),
    "deformable_detr": detector(
        "DeformableDetr", {"num_feature_levels": 1, "encoder_n_points": 2, "decoder_n_points": 2}
    ),
    "rt_detr": real_time("RTDetr", "RTDetrResNetConfig"),
    "rt_detr_boxes": real_time("RTDetr", "RTDetrResNetConfig", "ForObjectDetection"),
    "rt_detr_v2": real_time("RTDetrV2", "RTDetrResNetConfig"),
    "d_fine": real_time("DFine", "HGNetV2Config"),
    "mobilevit": family(
        "MobileViT",
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32],
            "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32],
            "num_attention_heads": 4,
            "expand_ratio": 2.0,
        },
        large,
    ),
    "mobilevit_v2": family(
        "MobileViTV2",
        {
            "image_size": 64,
            "width_multiplier": 0.25,
            "n_attn_blocks": [1, 1, 1],
            "base_attn_unit_dims": [64, 64, 64],
        },
        large,
    ),
    "hiera": family(
        "Hiera",
        {
            "embed_dim": 16,
            "image_size": [32, 32],
            "patch_stride": [4, 4],
            "patch_size": [7, 7],
            "patch_padding": [3, 3],
            "depths": [1, 1, 1],
            "num_heads": [1, 2, 4],
            "num_query_pool": 2,
            "masked_unit_size": [4, 4],
        },
        pixels,
    ),
    "glpn": family(
        "GLPN",
        {**SEGFORMER, "decoder_hidden_size": 8},
        pixels,
    ),
    "focalnet": family(
        "FocalNet",
        {
            "image_size": 32,
            "embed_dim": 16,
            "depths": [1, 1],
            "hidden_sizes": [16, 32],
            "focal_levels": [2, 2],
            "focal_windows": [3, 3],
        },
        pixels,
    ),
    "swiftformer": family(
        "SwiftFormer",
        {
            "image_size": 64,
            "embed_dims": [8, 16, 24, 32],
            "depths": [1, 1, 1, 1],
            "drop_path_rate": 0.0,
        },
        large,
    ),
    "pvt_v2": family(
        "PvtV2",
        {
            "image_size": 32,
            "hidden_sizes": [8, 16],
            "depths": [1, 1],
            "num_encoder_blocks": 2,
            "num_attention_heads": [1, 2],
            "sr_ratios": [2, 1],
            "patch_sizes": [3, 3],
            "strides": [2, 2],
            "mlp_ratios": [2, 2],
        },
        pixels,
    ),
    "videomae": family("VideoMAE", {**IMAGE, "num_frames": 4, "tubelet_size": 2}, frames),
    "timesformer": family("Timesformer", {**IMAGE, "num_frames": 4}, frames),
    "vivit": family("Vivit", {**IMAGE, "num_frames": 4, "tubelet_size": [2, 8, 8]}, frames),
    "vit_mae": family("ViTMAE", {**IMAGE, "mask_ratio": 0.0}, pixels),
    "vitdet": family(
        "VitDet",
        {**IMAGE, "window_size": 2, "window_block_indices": [0], "pretrain_image_size": 32},
        pixels,
    ),
    "dinov2_registers": family("Dinov2WithRegisters", IMAGE, pixels),
    "dinov3_vit": family("DINOv3ViT", IMAGE, pixels),
    "dinov3_convnext": family(
        "DINOv3ConvNext", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}, large
    ),
    "ijepa": family("IJepa", IMAGE, pixels),
    "swin2sr": family(
        "Swin2SR",
        {
            "image_size": 16,
            "embed_dim": 16,
            "depths": [1, 1],
            "num_heads": [2, 2],
            "window_size": 4,
            "upscale": 2,
        },
        lambda: pixels(16),
        "ForImageSuperResolution",
    ),
    "clip": family(
        "CLIP",
        {"text_config": {**TEXT}, "vision_config": IMAGE, "projection_dim": 16},
        lambda: ids() | pixels(),
    ),
    "siglip": family(
        "Siglip",
        {"text_config": {**TEXT, "projection_size": 32}, "vision_config": IMAGE},
        lambda: ids() | pixels(),
    ),
    "vilt": family(
        "Vilt", {**TEXT, **IMAGE, "max_image_length": -1, "num_images": 1}, lambda: ids() | pixels()
    ),
    "segformer_heads": family(
        "Segformer",
        {**SEGFORMER, "decoder_hidden_size": 16, "num_labels": 5},
        pixels,
        "ForSemanticSegmentation",
    ),
    "dpt": family(
        "DPT",
        {
            **IMAGE,
            "num_hidden_layers": 4,
            "backbone_out_indices": [0, 1, 2, 3],
            "neck_hidden_sizes": [8, 8, 16, 16],
            "fusion_hidden_size": 16,
            "reassemble_factors": [4, 2, 1, 0.5],
            "is_hybrid": False,
        },
        pixels,
        "ForDepthEstimation",
    ),
    "superpoint": family(
        "SuperPoint",
        {
            "encoder_hidden_sizes": [8, 8, 16, 16],
            "decoder_hidden_size": 16,
            "descriptor_decoder_dim": 16,
            "keypoint_decoder_dim": 65,
        },
        large,
        "ForKeypointDetection",
    ),
    "owlvit": family(
        "OwlViT",
        {"text_config": TEXT, "vision_config": IMAGE, "projection_dim": 16},
        lambda: ids() | pixels(),
    ),
    "efficientnet_heads": family(
        "EfficientNet",
        {"width_coefficient": 0.25, "depth_coefficient": 0.2, "image_size": 32, "hidden_dim": 320},
        pixels,
        "ForImageClassification",
    ),
    "aimv2": family("Aimv2Vision", {**IMAGE}, pixels),
}
