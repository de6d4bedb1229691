"""What people import: parameters, docstrings, fitted attributes, targets."""
