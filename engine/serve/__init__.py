"""The engine over HTTP: pages for people, an API for programs, tools for assistants.

``app`` puts everything together; ``shelf`` holds the open indexes, ``desk`` the queue of work; ``guard`` is what every
request and every response passes; ``parameters`` reads what is asked; ``api`` and ``pages`` answer; ``failures`` is the
one place where an error becomes a response.
"""

ROOMS = ("http", "work", "request", "api", "pages")  # in data-flow order
