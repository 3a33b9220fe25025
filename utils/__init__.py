"""What the notebooks share: one short module per concern."""
