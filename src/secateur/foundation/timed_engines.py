"""Timed engines: what `secateur bench` compares, known without loading any of them."""

ENGINES = ("torch", "onnxruntime", "secateur")
