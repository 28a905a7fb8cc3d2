"""Records of runs, pretexts and studies: written with their hashes, checked when they are read."""
