"""The tagger as a PyTorch module, its configuration, and its parts."""
