"""Architectures that metatrain can train, each with the layout that metatrain expects."""
