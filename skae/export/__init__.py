"""Export of fitted estimators: ONNX graphs, and files with their version."""
