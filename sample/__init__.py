"""The sources of the files in data/: what `python -m sample` regenerates."""
