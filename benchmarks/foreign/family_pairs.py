"""Encoders with decoders, of `transformers`."""

from __future__ import annotations

from foreign.families import SEQ2SEQ, T5, family, pairs
from foreign.journey import Builder

PAIRED: dict[str, Builder] = {
    "switch_transformers": family(
        "SwitchTransformers",
        {
            **T5,
            "num_experts": 4,
            "expert_capacity": 8,
            "num_sparse_encoder_layers": 1,
            "num_sparse_decoder_layers": 1,
        },
        pairs,
    ),
    "nllb_moe": family(
        "NllbMoe",
        {
            **SEQ2SEQ,
            "num_experts": 4,
            "expert_capacity": 8,
            "encoder_sparse_step": 2,
            "decoder_sparse_step": 2,
        },
        pairs,
    ),
    "mt5": family("MT5", T5, pairs),
    "longt5": family("LongT5", {**T5, "local_radius": 3, "global_block_size": 4}, pairs),
    "bart": family("Bart", SEQ2SEQ, pairs),
    "mbart": family("MBart", SEQ2SEQ, pairs),
    "pegasus": family("Pegasus", SEQ2SEQ, pairs),
    "marian": family("Marian", SEQ2SEQ, pairs),
    "m2m_100": family("M2M100", SEQ2SEQ, pairs),
    "blenderbot": family("Blenderbot", SEQ2SEQ, pairs),
    "prophetnet": family(
        "ProphetNet",
        {
            "vocab_size": 50,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "ngram": 2,
            "num_buckets": 8,
            "max_position_embeddings": 64,
            "hidden_size": 32,
            "num_encoder_layers": 2,
            "num_decoder_layers": 2,
            "num_encoder_attention_heads": 4,
            "num_decoder_attention_heads": 4,
        },
        pairs,
    ),
    "led": family(
        "LED",
        {
            **SEQ2SEQ,
            "attention_window": 4,
            "max_encoder_position_embeddings": 64,
            "max_decoder_position_embeddings": 64,
        },
        pairs,
    ),
}
