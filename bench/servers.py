"""The programs of one benchmark run: raincheck, nginx, the synthetic backend and the load generator.

The measured server runs on CPU 0, everything else on CPU 1. Every program that is started here is stopped here.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

SERVER_CPU = 0
LOAD_CPU = 1

# What is replaced in a page, and by what.
NEEDLE = "http://reports.internal:8080"
INSTEAD = "https://reports.example.com"


# raincheck's own: Mozilla's "intermediate".
CIPHERS = ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
           "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305")


class BenchError(Exception):
    """The run cannot go on; the text says why."""


def start_pinned(cpu, command, **options):
    return subprocess.Popen(["taskset", "-c", str(cpu), *map(str, command)], **options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exchange(port, request, timeout):
    """Sends one request on a connection of its own and returns the beginning of the answer; empty if there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall(request)
            return connection.recv(4096)
    except OSError:
        return b""


class Server:
    """A started program that can be measured; a context manager that stops it."""

    name = "server"
    scheme = "http"
    ready_path = "/"  # answered by the program itself, without the backend
    cpu = SERVER_CPU

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def spawn(self):
        log = self.folder / f"{self.name}.log"
        with log.open("a") as output:
            self.process = start_pinned(self.cpu, self.command(), stdout=output, stderr=output)
        return log

    def start(self):
        self.spawn_until(f"GET {self.ready_path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode(), b"HTTP/1.1 ")

    def spawn_until(self, request, answer):
        """Starts the program and returns after how many seconds it first gave this answer to this request."""
        begin = time.monotonic()
        log = self.spawn()
        while time.monotonic() < begin + 120:
            if exchange(self.port, request, 120).startswith(answer):
                return time.monotonic() - begin
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with status {self.process.returncode}:\n{log.read_text()}")
            time.sleep(0.002)
        raise BenchError(f"{self.name} does not answer within 120 s")

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def url(self, path):
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def pids(self):
        """The program and its children, as nginx's workers are."""
        parent = self.process.pid
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def memory_kib(self, file, *fields):
        total = 0
        for pid in self.pids():
            text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
            for field in fields:
                total += int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[1])
        return total

    def resident_kib(self):
        return self.memory_kib("status", "VmRSS")

    def resident_peak_kib(self):
        return self.memory_kib("status", "VmHWM")

    def private_kib(self):
        return self.memory_kib("smaps_rollup", "Private_Clean", "Private_Dirty")


class Raincheck(Server):
    """raincheck with its store in `folder`, which outlives the process: it may be started again on it.

    Requests to /jobs are carried out by the backend, up to 2,048 at once; those to /parked are accepted and stay
    queued, behind one call that never ends; everything else is proxied. /ruled is proxied with ten rules for header
    fields, and text is replaced in what the origin has under /page.
    """

    name = "raincheck"
    ready_path = "/_jobs/" + "A" * 32

    def __init__(self, program, folder, backend, parked, origin, certificate=None, watched=False, more_routes=0):
        super().__init__(folder)
        self.program = program
        self.monitoring = self.folder / "monitoring.sock"
        monitoring = f"{{ address: 'unix:{self.monitoring}' }}" if watched else "off"
        more = "".join(f"  - {{ match: POST /more/{i}/*, upstream: parked }}\n" for i in range(more_routes))
        tls = ""
        if certificate:
            self.scheme = "https"
            tls = f"tls: {{ certificates: [{{ cert_file: {certificate[0]}, key_file: {certificate[1]} }}] }}"
        self.config = self.folder / "raincheck.yaml"
        self.config.write_text(f"""\
listeners:
  - address: 127.0.0.1:{self.port}
    limits: {{ connections: 20000, connections_per_client: 20000 }}
    {tls}
store:
  directory: {self.folder / "store"}
  max_bytes: 60GiB
jobs:
  max_pending: 20000000
shutdown: {{ grace_period: 0s }}
log: {{ level: warn }}
access_log: {{ output: {"stdout" if watched else "none"} }}
monitoring: {monitoring}
upstreams:
  fast: {{ servers: ["http://127.0.0.1:{backend.port}"], max_concurrency: 2048 }}
  parked: {{ servers: ["http://127.0.0.1:{parked.port}"], max_concurrency: 1 }}
  origin: http://127.0.0.1:{origin.port}
routes:
  - {{ match: POST /jobs, upstream: fast }}
  - {{ match: POST /parked, upstream: parked }}
  - match: POST /ruled
    upstream: fast
    async: {{ mode: never }}
    request_headers:
      set: {{ X-One: one, X-Client: "${{client.address}}", X-Asked: "${{request.path}}" }}
      remove: [Cookie, Accept-Language]
    response_headers:
      set: {{ Cache-Control: no-store, X-Frame-Options: DENY, X-Id: "${{request.id}}" }}
      remove: [Server, X-Powered-By]
  - match: GET /page
    upstream: origin
    async: {{ mode: never }}
    response_body:
      replace: [{{ from: "{NEEDLE}", to: "{INSTEAD}" }}]
{more}default_upstream: fast
""")

    def command(self):
        return [self.program, "serve", "--config", self.config]

    def scrape(self):
        """How long /metrics takes, in seconds, and what it says."""
        begin = time.monotonic()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.monitoring))
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            pieces = []
            while piece := connection.recv(1 << 20):
                pieces.append(piece)
        return time.monotonic() - begin, b"".join(pieces)

    @contextlib.contextmanager
    def scraped(self, every):
        """/metrics is asked for again and again, while it runs."""
        over = threading.Event()

        def scrape():
            while not over.wait(every):
                with contextlib.suppress(OSError):
                    self.scrape()
        thread = threading.Thread(target=scrape)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def erase(self):
        shutil.rmtree(self.folder)


class Nginx(Server):
    """Debian's nginx as a plain reverse proxy with one worker and keep-alive connections to the backend."""

    name = "nginx"
    ready_path = "/static"

    def __init__(self, folder, backend, origin, certificate=None):
        super().__init__(folder)
        prefix = self.folder
        ssl = tls = ""
        if certificate:
            self.scheme, ssl = "https", "ssl"
            tls = (f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};\n"
                   f"    ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers {CIPHERS};")
        temporary = "".join(f"  {kind}_temp_path {prefix}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        self.config = prefix / "nginx.conf"
        self.config.write_text(f"""\
{user}daemon off;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_buffer_size 16k;
{temporary}
  upstream backend {{
    server 127.0.0.1:{backend.port};
    keepalive 2048;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{self.port} {ssl} backlog=4096;
    {tls}
    location = /static {{ return 204; }}
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
    location = /ruled {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-One one;
      proxy_set_header X-Client $remote_addr;
      proxy_set_header X-Asked $uri;
      proxy_set_header Cookie "";
      proxy_set_header Accept-Language "";
      add_header Cache-Control no-store;
      add_header X-Frame-Options DENY;
      add_header X-Id $request_id;
      proxy_hide_header Server;
      proxy_hide_header X-Powered-By;
    }}
    location = /page {{
      proxy_pass http://127.0.0.1:{origin.port};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      sub_filter "{NEEDLE}" "{INSTEAD}";
      sub_filter_once off;
    }}
  }}
}}
""")

    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.config, "-e", self.folder / "error.log"]


class Origin(Server):
    """nginx with one large page to proxy, on the load's CPU."""

    name = "origin"
    ready_path = "/small"
    cpu = LOAD_CPU
    piece = (f'<tr><td>A row of some legacy report, of no interest to anybody</td>'
             f'<td><a href="{NEEDLE}/reports/7">show</a></td></tr>\n').encode()

    def __init__(self, folder, mib):
        super().__init__(folder)
        self.page_bytes = mib << 20
        self.config = self.folder / "nginx.conf"
        (self.folder / "small").write_text("ready")
        with (self.folder / "page").open("wb") as page:
            block = self.piece * (1 + (1 << 20) // len(self.piece))
            for _ in range(mib):
                page.write(block[:1 << 20])
        user = "user root;\n" if os.geteuid() == 0 else ""
        self.config.write_text(f"""\
{user}daemon off;
worker_processes 1;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log;
events {{}}
http {{
  access_log off;
  default_type text/html;
  sendfile on;
  server {{ listen 127.0.0.1:{self.port}; root {self.folder}; }}
}}
""")

    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.config, "-e", self.folder / "error.log"]

    def rewritten(self):
        """The digest of the page as a client should get it."""
        page = (self.folder / "page").read_bytes()
        return hashlib.sha256(page.replace(NEEDLE.encode(), INSTEAD.encode())).hexdigest()


def fetch(server, path):
    """Gets a large page: seconds, and its digest."""
    client = socket.create_connection(("127.0.0.1", server.port), 120)
    with client:
        begin = time.monotonic()
        client.sendall(f"GET {path} HTTP/1.0\r\nHost: bench\r\n\r\n".encode())
        pieces = []
        while piece := client.recv(1 << 20):
            pieces.append(piece)
        seconds = time.monotonic() - begin
    head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"{server.name} {path}: {head[:100]}")
    return seconds, hashlib.sha256(body).hexdigest()


class Backend:
    """The synthetic backend, on the load's CPU."""

    def __init__(self, program, delay):
        self.command = [program, "--delay", delay]

    def __enter__(self):
        self.process = start_pinned(LOAD_CPU, self.command, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        port = self.process.stdout.readline()
        if not port:
            raise BenchError("the synthetic backend does not start")
        self.port = int(port)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Load:
    """Runs the load generator once and returns what it says."""

    def __init__(self, program):
        self.program = program

    def __call__(self, mode, server, path, **options):
        command = [self.program, mode, server.url(path), "--json",
                   "--cpu-of", ",".join(map(str, server.pids()))]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), value]
        done = start_pinned(LOAD_CPU, command, stdout=subprocess.PIPE, text=True)
        output, _ = done.communicate()
        if not output:
            raise BenchError(f"the load generator failed ({done.returncode}) against {server.name}")
        result = json.loads(output)
        bad = {name: int(result[name]) for name in
               ("lost", "wrong", "failed", "duplicated", "unexpected", "unanswered", "malformed", "disconnects")
               if result.get(name)}
        if bad:
            print(f"    {server.name} {path}: {bad}, statuses {result['statuses']}", flush=True)
        result["bad"] = bad
        return result


def open_idle_connections(server, count):
    """Keep-alive connections that have had one exchange each."""
    request = f"GET {server.ready_path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    opened = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", server.port), 10)
        connection.sendall(request)
        opened.append(connection)
        if not connection.recv(4096).startswith(b"HTTP/1.1 "):
            raise BenchError(f"{server.name} does not answer on connection {len(opened)}")
    for connection in opened:
        connection.setblocking(False)
        try:
            if not connection.recv(4096):
                raise BenchError(f"{server.name} closed an idle connection")
        except BlockingIOError:
            pass
    return opened


def seconds_to_first_202(server, path):
    """Starts the server and submits until it says 202."""
    body = b"x" * 1024
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return server.spawn_until(head + body, b"HTTP/1.1 202 ")
