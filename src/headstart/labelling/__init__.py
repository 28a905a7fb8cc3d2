"""Active learning: which unlabelled pictures to label next."""
