"""Separators of other projects: their networks as `Separator`, their published weights, ONNX files."""
