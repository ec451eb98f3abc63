"""Architectures that metatrain can train; each in the shape that metatrain asks for."""
