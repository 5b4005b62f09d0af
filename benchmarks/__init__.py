"""Benchmarks of hostemr beside the alternatives an operator would otherwise run."""
