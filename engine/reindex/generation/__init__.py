"""The files of the next generation: vectors, words, codes and map, sealed and verified."""
