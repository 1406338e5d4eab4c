"""Nets over sound and series, of `transformers`."""

from __future__ import annotations

import torch

from foreign.families import IMAGE, SEQ2SEQ, WAVE, family, wave
from foreign.journey import Builder

SOUNDS: dict[str, Builder] = {
    "wav2vec2": family("Wav2Vec2", WAVE, wave),
    "wav2vec2_layer_norm": family(
        "Wav2Vec2", {**WAVE, "feat_extract_norm": "layer", "do_stable_layer_norm": True}, wave
    ),
    "hubert": family("Hubert", WAVE, wave),
    "wavlm": family("WavLM", WAVE, wave),
    "unispeech": family("UniSpeech", WAVE, wave),
    "unispeech_sat": family("UniSpeechSat", WAVE, wave),
    "sew": family("SEW", {**WAVE, "squeeze_factor": 2}, wave),
    "data2vec_audio": family(
        "Data2VecAudio", {**WAVE, "conv_pos_kernel_size": 5, "num_conv_pos_embeddings": 2}, wave
    ),
    "wav2vec2_conformer": family(
        "Wav2Vec2Conformer", {**WAVE, "conv_depthwise_kernel_size": 5}, wave
    ),
    "audio_spectrogram": family(
        "AST",
        {**IMAGE, "max_length": 32, "num_mel_bins": 16, "frequency_stride": 8, "time_stride": 8},
        lambda: {"input_values": torch.randn(2, 32, 16), "return_dict": False},
    ),
    "whisper": family(
        "Whisper",
        {**SEQ2SEQ, "num_mel_bins": 8, "max_source_positions": 10, "max_target_positions": 16},
        lambda: {
            "input_features": torch.randn(2, 8, 20),
            "decoder_input_ids": torch.randint(3, 50, (2, 5)),
            "use_cache": False,
            "return_dict": False,
        },
    ),
    "univnet": family(
        "UnivNet",
        {
            "model_in_channels": 8,
            "model_hidden_channels": 8,
            "num_mel_bins": 10,
            "resblock_kernel_sizes": [3, 3],
            "resblock_stride_sizes": [2, 2],
            "resblock_dilation_sizes": [[1, 3], [1, 3]],
            "kernel_predictor_hidden_channels": 8,
        },
        lambda: {
            "input_features": torch.randn(1, 6, 10),
            "noise_sequence": torch.randn(1, 6, 8),
            "return_dict": False,
        },
    ),
    "encodec": family(
        "Encodec",
        {
            "num_filters": 4,
            "hidden_size": 16,
            "upsampling_ratios": [4, 2],
            "num_lstm_layers": 1,
            "codebook_size": 16,
            "target_bandwidths": [8.0],
            "sampling_rate": 8000,
            "codebook_dim": 16,
        },
        lambda: {"input_values": torch.randn(1, 1, 160), "return_dict": False},
    ),
    "patchtst": family(
        "PatchTST",
        {
            "num_input_channels": 3,
            "context_length": 16,
            "patch_length": 4,
            "patch_stride": 4,
            "d_model": 32,
            "num_attention_heads": 4,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
        },
        lambda: {"past_values": torch.randn(2, 16, 3), "return_dict": False},
    ),
}
