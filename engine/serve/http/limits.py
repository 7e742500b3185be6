"""Limits of requests and answers. A request over a limit is refused with the limit, never silently truncated."""

MAX_HITS = 1_000  # hits per answer
MAX_DEPTH = 10_000  # rank of the last hit of an answer: offset plus hits
MAX_TEXT = 20_000  # characters of a query: a search of several hundred lines; its address stays below MAX_HEAD
MAX_VALUE = 500  # characters of any other text
MAX_DECISION_TEXT = 10_000  # characters of a reason, a note or the labels of a record
MAX_WHERE = 4_096  # characters of an expression
MAX_VALUES = 1_200  # parameters of one request, among them up to 1,000 ticked hits
MAX_IDS = 1_000  # ids in one list
MAX_EXAMPLES = 100  # records of like, and as many of unlike
MAX_NAMES = 100  # values of one filter
MAX_BODY = 64 * 1024  # bytes
MAX_BATCH = 64  # queries of one request
MAX_BATCH_HITS = 10_000  # hits of all queries of one request
MAX_EXPLAINED = 100  # explained hits of all queries of one request
MAX_HEAD = 64 * 1024  # bytes of request line and headers
MAX_CONNECTIONS = 1_000  # open connections; the next one takes the place of the longest idle one, or is closed
MAX_IDLE = 250  # connections of one address that wait for a request; the next one takes the place of the oldest
# A connection that is idle for less may be about to send its request, as one of a proxy or of many users at once.
IDLE_SECONDS = 5.0
MAX_WAITING = 64  # requests waiting for a worker; the next one gets status 503
MAX_BATCHES_WAITING = 4  # batches waiting, in a queue of their own
WAIT_SECONDS = 10.0  # time to wait for a worker, before status 503
FILTER_SECONDS = 5.0  # time for one database query
ANSWER_SECONDS = 30.0  # time for an answer, before status 503; the work stops when it next checks its deadline
HEAD_SECONDS = 10.0  # time for request line and headers to arrive
BODY_SECONDS = 10.0  # time for a body to arrive
TAKE_SECONDS = 60.0  # time in which a client must read some of its answer
FOLLOW_SECONDS = 1.0  # time between checks for a newer generation
