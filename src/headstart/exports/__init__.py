"""A finished run as one ONNX file, written only if it agrees with PyTorch."""
