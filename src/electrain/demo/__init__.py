"""The whole way on packaged calculations."""
