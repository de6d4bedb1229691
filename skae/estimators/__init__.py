"""What people import: parameters, validation, docstrings, fitted attributes."""
