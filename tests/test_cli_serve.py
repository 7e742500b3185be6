"""`engine serve` and `engine mcp` as commands: where they listen, what they refuse, how they end."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from tests.conftest import CURRENT, ROOT, copy_toy, segment_of
from tests.serve.conftest import Running, serving

Run = Callable[..., subprocess.CompletedProcess[str]]
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def indexes(tmp_path: Path) -> Path:
    """A folder of one index."""
    shutil.copytree(CURRENT, tmp_path / "indexes" / "toy")
    return tmp_path / "indexes"


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two indexes, and of what is none."""
    folder = tmp_path_factory.mktemp("several") / "indexes"
    shutil.copytree(CURRENT, folder / "toy")
    copy_toy(folder / "old")
    (folder / "notes").mkdir()
    return folder


def refusal(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that a command says when it fails."""
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr
    assert done.stderr.startswith(("Error: ", "Usage: ")), done.stderr
    return done.stderr


def sockets(process: int) -> set[str]:
    """Inodes of the sockets of a process."""
    found = set()
    for entry in Path(f"/proc/{process}/fd").iterdir():
        target = os.readlink(entry)
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def listened_at(process: int) -> list[str]:
    """Addresses, in the hexadecimal of the kernel, at which a process takes connections."""
    own, found = sockets(process), []
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            columns = row.split()
            if columns[3] == "0A" and columns[9] in own:
                found.append(columns[1])
    return found


@pytest.fixture(scope="module")
def server(several: Path) -> Iterator[Running]:
    with serving(several) as found:
        yield found


def test_the_server_says_on_standard_error_where_it_is_and_what_it_serves(server: Running) -> None:
    assert server.said == f"http://127.0.0.1:{server.port}/ serves old, toy; press Ctrl-C to stop\n"
    assert server.get("/readyz")[2] == b"old 000001\ntoy 000002\n"
    status, headers, body = server.get("/?q=gout")
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8" and b"abstracts" in body
    assert "server" not in headers


def test_a_request_that_makes_no_sense_is_nothing_to_write_down(server: Running) -> None:
    before = server.said
    for path, status in (("/api/v1/search?n=x", 400), ("/api/v1/record?id=nope", 404), ("/record?id=nope", 404),
                         ("/nope", 404), ("/?n=x", 400)):  # fmt: skip
        assert server.get(path)[0] == status
    assert server.said == before


def test_only_this_machine_can_reach_the_server(server: Running) -> None:
    assert listened_at(server.process.pid) == [f"0100007F:{server.port:04X}"]
    assert len(sockets(server.process.pid)) >= 1
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
        if not address.startswith("127."):
            with pytest.raises(ConnectionRefusedError, match="refused"):
                socket.create_connection((address, server.port), timeout=5).close()


@pytest.mark.parametrize(
    ("args", "served"), [(("-i", "toy"), "toy"), (("-i", "toy", "-i", "old", "-i", "toy"), "toy, old")]
)
def test_the_indexes_are_chosen_by_name(several: Path, args: tuple[str, ...], served: str) -> None:
    with serving(several, *args) as found:
        assert f" serves {served}; " in found.said
    with serving(several, ENGINE_INDEX="old") as found:
        assert " serves old; " in found.said


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_server_is_reached_by_any_name_of_this_machine(several: Path, name: str) -> None:
    # The line is looked for by number, and "localhost" may be said instead.
    command = [sys.executable, "-m", "engine", "serve", "--port", "0", "--host", name, "-i", "toy"]
    environment = {**os.environ, "ENGINE_INDEXES": str(several), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[0]
        assert url.startswith(f"http://{name}:")
        port = int(url.rstrip("/").rpartition(":")[2])
        for host in ("127.0.0.1", "localhost", "[::1]"):
            with socket.create_connection((name, port), timeout=5) as line:
                line.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                assert line.recv(100).startswith(b"HTTP/1.1 200 ")
        process.terminate()
        process.wait(timeout=10)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_server_with_its_code(indexes: Path, number: signal.Signals, code: int) -> None:
    with serving(indexes, is_new=True) as found:
        lines = [found.connect() for _ in range(3)]  # idle, half a head, kept open after an answer
        try:
            lines[1].sendall(b"GET / HT")
            lines[2].sendall(found.head("GET /healthz"))
            assert lines[2].recv(65_536)
            began = time.monotonic()
            found.process.send_signal(number)
            assert found.process.wait(timeout=10) in (code, -number)
            assert time.monotonic() - began < 5
        finally:
            for line in lines:
                line.close()
        assert "Traceback" not in found.said
        with pytest.raises(ConnectionRefusedError, match="refused"):
            found.connect().close()


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="this system has no bus errors")
def test_the_end_by_a_bus_error_is_in_the_log(indexes: Path) -> None:
    with serving(indexes, is_new=True) as found:
        found.process.send_signal(signal.SIGBUS)  # as where a file was cut off below the server
        assert found.process.wait(timeout=10) == -signal.SIGBUS
        assert "Fatal Python error: Bus error" in found.said


def test_an_answer_under_way_is_finished_before_the_end(indexes: Path) -> None:
    patch = """
from engine.serve.work import desk
plain = desk._run_in_time
def slow(work, latest):
    import time
    time.sleep(1.0)
    return plain(work, latest)
desk._run_in_time = slow
"""
    with serving(indexes, patch=patch) as found, found.connect() as line:
        line.sendall(found.head("GET /api/v1/search?q=gout"))
        time.sleep(0.3)
        found.process.terminate()
        assert line.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert found.process.wait(timeout=10) in (143, -signal.SIGTERM)


def test_a_taken_address_is_told(engine_process: Run, indexes: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refusal(engine_process("serve", "--port", port), 1)
    assert said == f"Error: can't listen on 127.0.0.1:{port}: Address already in use. To use any free port: --port 0\n"


def test_an_address_of_another_machine_is_told(engine: Run, indexes: Path) -> None:
    more = ("--allow-host", "search.example.org")
    said = refusal(engine("serve", "--host", "192.0.2.1", "--port", "0", *more, env=with_token(indexes)), 1)
    assert "can't listen on 192.0.2.1:0: " in said
    said = refusal(engine("serve", "--host", "no.such.name.invalid", "--port", "0", *more, env=with_token(indexes)), 1)
    assert "--host no.such.name.invalid is not an address of this machine" in said


def with_token(indexes: Path, token: str = TOKEN) -> dict[str, str]:
    """The environment with a token."""
    return {**os.environ, "ENGINE_INDEXES": str(indexes), "PYTHONPATH": str(ROOT), "ENGINE_TOKEN": token}


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_can_reach_the_server_only_with_a_token_and_a_name(engine: Run, indexes: Path, host: str) -> None:
    said = refusal(engine("serve", "--host", host, "--port", "0", "--allow-host", "a.org"), 2)
    assert (
        f"--host {host} can be reached from other machines, so a token (ENGINE_TOKEN or --token-file) is required"
        in said
    )
    assert "ENGINE_TOKEN=$(openssl rand -hex 32) engine serve --host" in said
    said = refusal(engine("serve", "--host", host, "--port", "0", env=with_token(indexes)), 2)
    assert "so a public host name" in said


def test_rules_that_make_no_sense_are_refused(engine: Run, indexes: Path, tmp_path: Path) -> None:
    assert "has 5 characters" in refusal(engine("serve", "--port", "0", env=with_token(indexes, "short")), 2)
    blank = tmp_path / "blank"
    blank.write_text(" \n")
    assert "contains no token of letters and digits" in refusal(
        engine("serve", "--port", "0", "--token-file", blank), 2
    )
    assert "is not an origin" in refusal(engine("serve", "--port", "0", "--cors", "*"), 2)
    assert "is not a host name" in refusal(engine("serve", "--port", "0", "--allow-host", "*"), 2)
    assert "--root-path is 'search', expected a path" in refusal(
        engine("serve", "--port", "0", "--root-path", "search"), 2
    )
    assert "begins like a page of the server" in refusal(engine("serve", "--port", "0", "--root-path", "/map"), 2)
    assert "--trusted-proxy is '*'" in refusal(engine("serve", "--port", "0", "--trusted-proxy", "*"), 2)
    assert engine("serve", "--port", "65536").returncode == 2
    assert engine("serve", "--port", "-1").returncode == 2


def test_a_token_file_that_can_not_be_read_is_told(engine: Run, indexes: Path, tmp_path: Path) -> None:
    assert "absent" in refusal(engine("serve", "--port", "0", "--token-file", tmp_path / "absent"), 1)
    assert str(tmp_path) in refusal(engine("serve", "--port", "0", "--token-file", tmp_path), 1)


def test_a_token_file_that_is_no_text_is_told(engine: Run, indexes: Path, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe" * 20)
    done = engine("serve", "--port", "0", "--token-file", tmp_path / "binary")
    assert done.returncode in (1, 2) and "binary" in refusal(done, done.returncode)


@pytest.mark.parametrize("is_file", [False, True])
def test_a_token_is_asked_for_and_written_nowhere(indexes: Path, tmp_path: Path, is_file: bool) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    given = ("--token-file", str(tmp_path / "token")) if is_file else ()
    settings = {"ENGINE_TOKEN": "x" * 32} if is_file else {"ENGINE_TOKEN": TOKEN}
    with serving(indexes, *given, is_new=True, **settings) as found:  # its arguments can be seen
        assert found.get("/")[0] == 401 and found.get("/healthz")[0] == 200
        assert found.get("/", "Authorization: Bearer " + "x" * 32)[0] == 401
        assert found.get("/", f"Authorization: Bearer {TOKEN}")[0] == 200
        assert TOKEN not in found.said
        assert TOKEN.encode() not in Path(f"/proc/{found.process.pid}/cmdline").read_bytes()


def test_names_and_origins_are_taken(indexes: Path) -> None:
    more = ("--allow-host", "search.example.org", "--cors", "https://example.org", "--cors", "http://localhost:3000")
    with serving(indexes, *more) as found:
        for host in ("search.example.org", f"search.example.org:{found.port}"):
            assert (
                found.raw(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())[9:12]
                == b"200"
            )
        assert found.raw(b"GET /healthz HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")[9:12] == b"421"
        for origin in ("https://example.org", "http://localhost:3000"):
            assert found.get("/healthz", f"Origin: {origin}")[1]["access-control-allow-origin"] == origin
        assert "access-control-allow-origin" not in found.get("/healthz", "Origin: https://evil.com")[1]


def test_an_index_that_can_not_be_served_is_told(engine: Run, indexes: Path) -> None:
    assert "no index named 'nope'" in refusal(engine("serve", "--port", "0", "-i", "nope"), 1)
    assert "can't be the name of an index" in refusal(engine("serve", "--port", "0", "-i", "../toy"), 2)
    database = segment_of(IndexFolder(indexes / "toy"), 2).database
    database.write_bytes(database.read_bytes()[:-1])
    assert "abstracts.db has" in refusal(engine("serve", "--port", "0"), 3)
    shutil.rmtree(indexes / "toy")
    assert "holds no index" in refusal(engine("serve", "--port", "0"), 1)


@pytest.mark.parametrize(("command", "library", "extra"), [
    ("serve", "starlette", "serve"), ("serve", "uvicorn", "serve"), ("serve", "jinja2", "serve"),
    ("serve", "prometheus_client", "serve"), ("mcp", "mcp", "mcp"),
])  # fmt: skip
def test_a_missing_library_is_told_with_the_extra_that_brings_it(
    indexes: Path, command: str, library: str, extra: str
) -> None:
    script = f"import sys\nsys.modules[{library!r}] = None\nfrom engine.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", script, command], env={**with_token(indexes)}, capture_output=True, text=True, timeout=60
    )
    said = refusal(done, 1)
    assert library in said and f"[cpu,{extra}], [gpu,{extra}] or [lite,{extra}]" in said


def test_the_command_that_is_named_for_a_missing_library_brings_it(indexes: Path) -> None:
    script = "import sys\nsys.modules['uvicorn'] = None\nfrom engine.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", script, "serve"], env=with_token(indexes), capture_output=True, text=True, timeout=60
    )
    assert "pip install 'abstract-engine[cpu,serve]'" in refusal(done, 1)


def test_mcp_needs_nothing_of_what_serves_pages(indexes: Path) -> None:
    script = (
        "import sys\nfor name in ('uvicorn', 'jinja2', 'prometheus_client'): sys.modules[name] = None\n"
        "from engine.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "mcp"],
        env=with_token(indexes),
        capture_output=True,
        text=True,
        input="",
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_page_is_opened_when_it_is_ready(indexes: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    opener, opened = tmp_path / "bin" / "xdg-open", tmp_path / "opened"
    opener.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    opener.chmod(opener.stat().st_mode | stat.S_IXUSR)
    with serving(indexes, "--open", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}") as found:
        for _ in range(100):
            if opened.exists() and opened.read_text().endswith("\n"):
                break
            time.sleep(0.05)
        assert opened.read_text() == f"http://127.0.0.1:{found.port}/\n"
        assert found.get("/")[0] == 200


def test_options_of_a_review_are_checked(engine: Run, indexes: Path, tmp_path: Path) -> None:
    (tmp_path / "ann").write_text("a" * 32)
    for given, message in (
        (("--who", "ann"), "--who was given without a review, expected --review NAME, too"),
        (("--open-decisions",), "--open-decisions was given without a review"),
        (("--reviewer", f"ann={tmp_path / 'ann'}"), "--reviewer was given without a review"),
        (("--review", "main", "--reviewer", "ann"), "expected a name and a file, like ann=ann.token"),
        (("--review", "main", "--reviewer", f"ann={tmp_path / 'ann'}", "--who", "bob"), "expected one of them"),
        (("--review", "main", *("--reviewer", f"ann={tmp_path / 'ann'}") * 2), "the reviewer ann was given twice"),
        (("--review", "main"), "toy has no review 'main'. Start it: engine review start -i toy --review main"),
    ):
        assert message in refusal(engine("serve", "--port", "0", "-i", "toy", *given), 2)
    absent = refusal(engine("serve", "--port", "0", "--review", "main", "--reviewer", f"ann={tmp_path / 'absent'}"), 1)
    assert "absent" in absent


def test_a_review_belongs_to_one_index(engine: Run, several: Path) -> None:
    done = engine("serve", "--port", "0", "--indexes", several, "--review", "main")
    assert "a review belongs to one index, and 2 are served: old, toy. Name one: -i NAME" in refusal(done, 2)
