"""Separators of other projects: their networks behind our interface, their published weights, ONNX files."""
