"""Stage 3. In: texts. Out: unit-length float32 vectors, one row per text, in order.

Next: index stores them. The rooms, in the order of the data. ``models``: ``model`` finds the original in its
``layout``, with its ``prompts``; ``folder`` describes the files of an exported encoder, ``receipt`` their checksums;
``pooling`` makes one vector of the states of tokens, ``recipe`` a text of a title and an abstract, and ``catalogue``
lists known models. ``texts``: ``passages`` and ``sentences`` make the texts of a record, ``tokens`` their token ids,
``packing`` joins texts, and ``probes`` are fixed ones. ``execution``: ``encoder`` defines and checks what every encoder
must return; ``onnx`` runs an exported encoder for queries on the ``runtime``, in the layout of ``threads`` that was
measured to be fastest on this ``processor``; ``prefetch`` lets encoding overlap with reading and storing, and
``similarity`` compares texts. ``original``: ``transformer`` loads the original, ``export`` exports it and compares both
on the probes, and ``packedmodel`` is a BERT without padding. ``cpu`` encodes the corpus in the fastest way on a CPU,
``gpu`` runs the original on GPUs. ``crossencoder`` scores pairs of texts, for a second stage. Only ``original``,
``cpu.torchrunner``, ``crossencoder.export`` and ``gpu`` load torch.
"""

ROOMS = ("models", "texts", "execution", "original", "cpu", "gpu", "crossencoder")  # in data-flow order
