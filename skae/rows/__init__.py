"""What X is: read and checked once, and met by all as the same few methods."""
