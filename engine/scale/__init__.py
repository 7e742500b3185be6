"""Stage 10. In: an index, or source files, and a cluster of Ray. Out: the same rankings, or vectors in shards.

Words and filters stay on the machine that searches: BM25 needs statistics of the whole index, and a filter becomes a
list of ids that travels with the question. So the answer is the one that this machine would give alone.

The rooms, in the order of the data. ``nodes``: ``connection`` connects to the nodes, ``storage`` is a folder or an
object store with what they read, and ``nodefiles`` is what one node has of it. ``encoding``: on each node a
``nodeencoder`` encodes texts; a ``unitworker`` encodes a part of a file, ``job`` hands the parts out, and
``clusterencoder`` encodes the new texts of a run. ``ranking``: a ``holder`` on each node ranks the segments that it has
open, ``cluster`` asks the nodes, for other commands of this machine too by ``relay``, ``remoteindex`` merges what they
answer, and ``segmentfacts`` describe a segment.
``placement``: ``clusterplacement`` lets the nodes open a generation before it becomes current and compares what they
have open with the files here; ``clusterstatus`` lists what they hold.

``opening`` chooses between this machine and a cluster as index.toml says. Ray is imported only where that names one.
"""

ROOMS = ("nodes", "encoding", "ranking", "placement")  # in data-flow order
