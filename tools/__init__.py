"""What make calls: python -m tools.run, tools.full, tools.record, tools.refresh, tools.readme_table."""
