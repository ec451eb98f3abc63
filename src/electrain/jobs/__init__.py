"""Long work in small pieces: in parallel, with progress, and resumed where it was stopped."""
