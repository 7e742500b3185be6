"""Stage 11. In: pairs of texts, or a corpus. Out: a better encoder folder, and its place in an index.

Next: nothing; ``engine index -m FOLDER`` uses the encoder. The rooms, in the order of the data: ``pairs`` reads pairs
or makes them from a corpus, and checks them; ``fit`` trains an encoder and writes its folder and card; ``promote`` puts
an encoder into an index if it passes the gate; ``modelcard`` explains the card of any model. A room imports only rooms
to its left.
"""

ROOMS = ("pairs", "fit", "promote", "modelcard")
