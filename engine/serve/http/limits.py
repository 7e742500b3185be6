"""How much one request may ask for. What is over a limit is refused with the limit, never cut in silence."""

MAX_HITS = 1_000  # of one answer
MAX_DEPTH = 10_000  # rank of the last hit of an answer: offset and hits together
MAX_TEXT = 4_096  # characters of a query
MAX_VALUE = 500  # characters of any other text
MAX_WHERE = 4_096  # characters of an expression
MAX_VALUES = 1_200  # parameters of one request; a page's ticks are a thousand at most
MAX_IDS = 1_000  # ids of one list
MAX_EXAMPLES = 100  # records of like, and as many of unlike
MAX_NAMES = 100  # values of one filter
MAX_BODY = 64 * 1024  # bytes
MAX_BATCH = 64  # queries of one request
MAX_BATCH_HITS = 10_000  # of all of them together
MAX_EXPLAINED = 100  # of these, hits that are explained
MAX_HEAD = 64 * 1024  # bytes of request line and headers
MAX_CONNECTIONS = 1_000  # open at once; the next one is closed
MAX_WAITING = 64  # requests that wait for a worker; the next one gets 503
MAX_BATCHES_WAITING = 4  # in a queue of their own
WAIT_SECONDS = 10.0  # for a worker, before 503
FILTER_SECONDS = 5.0  # for one look into the database
ANSWER_SECONDS = 30.0  # for an answer, before 503; what goes on after it ends at the next look at the clock
HEAD_SECONDS = 10.0  # for request line and headers to arrive
BODY_SECONDS = 10.0  # for a body to arrive
TAKE_SECONDS = 60.0  # in which a client must take something of its answer
FOLLOW_SECONDS = 1.0  # between looks for a newer generation
