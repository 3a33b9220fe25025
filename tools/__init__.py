"""What make calls: python -m tools.run, tools.full, tools.record, tools.refresh; they share the other modules."""
