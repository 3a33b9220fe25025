"""What the notebooks share: one module per concern."""
