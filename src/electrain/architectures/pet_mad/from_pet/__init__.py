"""Checkpoints of metatrain's ``pet`` and of PET-MAD-DOS."""
