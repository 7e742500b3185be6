"""Stage 9. In: source files and a cluster of Ray. Out: vectors of their texts, in shards that the next run takes over.

``cluster`` connects to the nodes, ``unitworker`` encodes a part of a file on one of them, and ``job`` hands the parts
out. Nothing here is imported on one machine.
"""
