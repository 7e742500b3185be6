"""The engine over HTTP: pages for people, an API for programs, MCP tools for assistants.

``run`` starts the server and ``app`` assembles the site. Every request passes ``http.guard``. ``request.parameters``
checks its parameters, ``api`` and ``pages`` answer it in a worker of ``work.desk`` from an index of ``work.shelf``, and
``http.failures`` turns errors into responses. Nothing writes but ``review``, which keeps the decisions of reviewers.
"""

ROOMS = ("http", "work", "request", "api", "pages", "review")  # in data-flow order
