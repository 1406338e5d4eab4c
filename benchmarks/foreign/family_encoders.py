"""Encoders of text, of `transformers`."""

from __future__ import annotations

import torch

from foreign.families import LLAMA, TEXT, family, ids
from foreign.journey import Builder

TEXTS: dict[str, Builder] = {
    "deberta": family(
        "Deberta", {**TEXT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}, ids
    ),
    "deberta_v2": family(
        "DebertaV2",
        {
            **TEXT,
            "relative_attention": True,
            "pos_att_type": ["c2p", "p2c"],
            "position_buckets": 8,
            "share_att_key": False,
        },
        ids,
    ),
    "deberta_v2_plain": family("DebertaV2", TEXT, ids),
    "convbert": family(
        "ConvBert", {**TEXT, "embedding_size": 32, "head_ratio": 2, "conv_kernel_size": 3}, ids
    ),
    "ibert": family("IBert", {**TEXT, "quant_mode": False}, ids),
    "albert": family("Albert", {**TEXT, "embedding_size": 16}, ids),
    "mpnet": family("MPNet", TEXT, ids),
    "mobilebert": family(
        "MobileBert",
        {**TEXT, "intra_bottleneck_size": 16, "true_hidden_size": 16, "embedding_size": 16},
        ids,
    ),
    "squeezebert": family(
        "SqueezeBert",
        {
            **TEXT,
            "embedding_size": 32,
            "q_groups": 2,
            "k_groups": 2,
            "v_groups": 2,
            "intermediate_groups": 2,
            "output_groups": 2,
        },
        ids,
    ),
    "nystromformer": family(
        "Nystromformer", {**TEXT, "segment_means_seq_len": 9, "num_landmarks": 3}, ids
    ),
    "fnet": family("FNet", TEXT, ids),
    "funnel": family(
        "Funnel",
        {
            "vocab_size": 50,
            "block_sizes": [1, 1],
            "d_model": 32,
            "n_head": 4,
            "d_head": 8,
            "d_inner": 48,
            "num_decoder_layers": 1,
        },
        ids,
    ),
    "xlnet": family(
        "XLNet", {"vocab_size": 50, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}, ids
    ),
    "xlm": family("XLM", {"vocab_size": 50, "emb_dim": 32, "n_layers": 2, "n_heads": 4}, ids),
    "roformer": family("RoFormer", {**TEXT, "embedding_size": 32}, ids),
    "rembert": family(
        "RemBert", {**TEXT, "input_embedding_size": 16, "output_embedding_size": 16}, ids
    ),
    "megatron_bert": family("MegatronBert", TEXT, ids),
    "ernie": family("Ernie", TEXT, ids),
    "xlm_roberta": family("XLMRoberta", TEXT, ids),
    "xlm_roberta_xl": family("XLMRobertaXL", TEXT, ids),
    "roberta_prelayernorm": family("RobertaPreLayerNorm", TEXT, ids),
    "big_bird": family("BigBird", {**TEXT, "attention_type": "original_full"}, ids),
    "layoutlm": family("LayoutLM", TEXT, ids),
    "longformer": family("Longformer", {**TEXT, "attention_window": 4}, ids),
    "yoso": family("Yoso", {**TEXT, "use_expectation": True}, ids),
    "modernbert": family(
        "ModernBert", {**TEXT, "global_attn_every_n_layers": 2, "local_attention": 4}, ids
    ),
    "esm": family("Esm", {**TEXT, "mask_token_id": 3}, ids),
    "data2vec_text": family("Data2VecText", TEXT, ids),
    "lilt": family("Lilt", {**TEXT, "channel_shrink_ratio": 2, "hidden_size": 48}, ids),
    "nomic_bert": family("NomicBert", LLAMA, ids),
    "canine": family(
        "Canine",
        {
            **TEXT,
            "num_hash_functions": 2,
            "num_hash_buckets": 16,
            "local_transformer_stride": 4,
            "downsampling_rate": 2,
            "upsampling_kernel_size": 2,
        },
        lambda: {"input_ids": torch.randint(3, 50, (2, 16)), "return_dict": False},
    ),
    "perceiver": family(
        "Perceiver",
        {
            "d_model": 24,
            "d_latents": 32,
            "num_latents": 6,
            "num_blocks": 1,
            "num_self_attends_per_block": 2,
            "num_self_attention_heads": 4,
            "num_cross_attention_heads": 4,
        },
        lambda: {"inputs": torch.randn(2, 9, 24), "return_dict": False},
    ),
}
