"""The complete workflow on calculations that come with the package."""
