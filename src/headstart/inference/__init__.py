"""Using a trained network: opening a run or an ONNX file, predicting, scoring."""
