"""Fitted estimators elsewhere: as ONNX graphs, and in files of other versions."""
