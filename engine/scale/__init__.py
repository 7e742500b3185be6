"""Stage 10. In: an index, or source files, and a cluster of Ray. Out: the same rankings, or vectors in shards.

Words and filters stay on the machine that searches: BM25 needs statistics of the whole index, and a filter becomes a
list of ids that travels with the question. So the answer is the one that this machine would give alone.

``connection`` connects to the nodes. A ``holder`` runs on each and ranks the segments that it has open; ``cluster``
asks the nodes, ``remoteindex`` merges what they answer, and ``opening`` chooses them by index.toml.
``clusterplacement`` lets the nodes open a generation before it becomes current, and compares the ``segmentfacts`` of
what they have open with those of the files here; ``clusterstatus`` lists what they hold. ``storage`` is
a folder or an object store with what nodes read, and ``nodefiles`` is what one node has of it. ``unitworker`` encodes a
part of a file on a node, and ``job`` hands the parts out; ``clusterencoder`` encodes the new texts of a run, by a
``nodeencoder`` on each node. Ray is imported only where index.toml asks for it.
"""
