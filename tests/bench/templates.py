"""Lines of made-up services for generate.py: web, Java, Python, Go, databases, JSON and logfmt bodies, stack traces."""

# ruff: noqa: E501 - a template is one line

from __future__ import annotations

import json
import random
from collections.abc import Iterator

T = "2026-01-01T00:00:00.000"  # generate.py writes each line's own time here, whatever T/space and ./, stand in it
S = "2026-01-01 00:00:00.000"
C = "2026-01-01 00:00:00,000"

_WORDS = [
    "order",
    "cart",
    "user",
    "invoice",
    "payment",
    "session",
    "search",
    "stock",
    "price",
    "review",
    "basket",
    "coupon",
    "refund",
    "shipment",
    "ledger",
]
_HOSTS = ["web-1", "web-2", "api-7", "db-primary", "db-replica-2", "cache-3", "queue-1", "gateway", "worker-12"]
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "curl/7.88.1",
    "kube-probe/1.30",
)
_TEXTS = (
    "Zürich 8001",
    "naïve café",
    "訂單 已完成",
    "отправлено",
    "emoji 🚚 sent",
    'said "no"',
    "C:\\data\\in",
    "a\tb",
)

# {name} is drawn anew for each rendered line; see _values.
_LINES: tuple[tuple[int, str, str], ...] = (
    (90, "stdout", '{ip} - - [01/Jan/2026:10:12:13 +0000] "GET /{w}/{n5}?page={n2} HTTP/1.1" 200 {n4} "-" "{agent}"'),
    (30, "stdout", '{ip} - {w} [01/Jan/2026:10:12:13 +0000] "POST /api/v1/{w}s HTTP/1.1" 201 {n3} "https://shop.example/{w}" "{agent}"'),
    (10, "stdout", '{ip} - - [01/Jan/2026:10:12:13 +0000] "GET /static/{hex8}.js HTTP/2.0" 304 0 "-" "{agent}" rt=0.{n3}'),
    (6, "stderr", '2026/01/01 10:12:13 [error] {n2}#{n2}: *{n5} connect() failed (111: Connection refused) while connecting to upstream, client: {ip}, server: shop.example, upstream: "http://{ip}:8080/{w}"'),
    (40, "stdout", C + " INFO  [http-nio-8080-exec-{n2}] com.acme.shop.{W}Controller - {w} {uuid} created for user {n6} in {n3} ms"),
    (25, "stdout", C + " DEBUG [pool-{n1}-thread-{n2}] com.acme.shop.repo.{W}Repository - select * from {w} where id = {n6} took {n2} ms"),
    (12, "stdout", C + " WARN  [HikariPool-1 housekeeper] com.zaxxer.hikari.pool.HikariPool - Thread starvation or clock leap detected (housekeeper delta={n2}s{n3}ms)"),
    (18, "stdout", S + " [main] INFO org.apache.kafka.clients.consumer.ConsumerCoordinator - [Consumer clientId=c-{n2}, groupId={w}] Committed offset {n8} for partition {w}-{n2}"),
    (15, "stdout", T + "Z INFO {n1} --- [nio-8080-exec-{n1}] o.s.web.servlet.DispatcherServlet : Completed initialization in {n3} ms"),
    (20, "stderr", C + " - acme.{w} - INFO - job {uuid} finished: {n4} rows, {n2}.{n3} s"),
    (8, "stderr", C + " - acme.{w} - WARNING - retrying {w} call to {host}:{n4} (attempt {n1} of 5)"),
    (15, "stderr", "INFO:     {ip}:{n5} - \"GET /{w}/{n6} HTTP/1.1\" 200 OK"),
    (10, "stderr", "[" + C + "] ERROR in app: Exception on /{w}/{n5} [GET]"),
    (30, "stderr", 'time="' + T + 'Z" level=info msg="{w} reconciled" controller={w} namespace=prod name={w}-{hex8} duration=0.{n3}s'),
    (10, "stderr", 'time="' + T + 'Z" level=warning msg="slow {w} query" query_id={n6} rows={n4} elapsed_ms={n4}'),
    (15, "stderr", 'ts=' + T + 'Z caller={w}.go:{n3} level=debug component=tsdb msg="compact blocks" count={n1} mint={n8}{n5} ulid={hex16}'),
    (10, "stderr", "I0101 10:12:13.{n6}       1 controller.go:{n3}] \"Successfully synced\" key=\"prod/{w}-{hex8}\""),
    (5, "stderr", "E0101 10:12:13.{n6}       1 reflector.go:{n3}] \"Failed to watch\" err=\"dial tcp {ip}:443: i/o timeout\""),
    (12, "stderr", "2026/01/01 10:12:13 http: TLS handshake error from {ip}:{n5}: EOF"),
    (18, "stderr", S + " UTC [{n5}] LOG:  checkpoint complete: wrote {n4} buffers ({n1}.{n1}%); 0 WAL file(s) added, {n1} removed; write={n2}.{n3} s"),
    (6, "stderr", S + " UTC [{n5}] {w}@shop ERROR:  duplicate key value violates unique constraint \"{w}_pkey\""),
    (6, "stderr", S + " UTC [{n5}] {w}@shop STATEMENT:  INSERT INTO {w} (id, total) VALUES ({n6}, {n3}.{n2})"),
    (8, "stdout", T + "{n3}Z {n4} [Note] [MY-{n6}] [InnoDB] Log capacity is changed from {n8} to {n8}."),
    (12, "stdout", "1:M 01 Jan 2026 10:12:13.{n3} * {n4} changes in 60 seconds. Saving..."),
    (10, "stdout", "Jan  1 10:12:13 {host} sshd[{n5}]: Accepted publickey for deploy from {ip} port {n5} ssh2"),
    (8, "stdout", "processing {w} {n6}: {text}"),
    (6, "stdout", "\u001b[32minfo\u001b[39m: {w} service listening on port {n4}"),
    (10, "stdout", "GET /{w}/{n5} 200 {n2}.{n3} ms - {n4}"),
    (6, "stderr", "<4>{w}[{n4}]: buffer nearly full <{n3}> & draining"),
    (5, "stderr", "DeprecationWarning: Buffer() is deprecated due to security and usability issues. id={hex16}"),
    (1, "stdout", ""),
)  # fmt: skip

_JAVA = (
    C + " ERROR [http-nio-8080-exec-{n2}] com.acme.shop.{W}Controller - {w} {uuid} failed",
    "java.lang.IllegalStateException: no {w} with id {n6}",
    "\tat com.acme.shop.{W}Service.find({W}Service.java:{n3})",
    "\tat com.acme.shop.{W}Controller.get({W}Controller.java:{n2})",
    "\tat java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:103)",
    "\tat org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:885)",
    "Caused by: java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, timed out after {n5}ms",
    "\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)",
    "\t... {n2} more",
)
_PYTHON = (
    C + " - acme.{w} - ERROR - job {uuid} failed",
    "Traceback (most recent call last):",
    '  File "/app/acme/{w}.py", line {n3}, in run',
    "    total = self.load(job.id)[{n4}]",
    '  File "/app/acme/store.py", line {n2}, in load',
    "    return json.loads(raw)",
    "ValueError: Expecting value: line 1 column {n2} (char {n4})",
)
_GO = (
    "panic: runtime error: index out of range [{n2}] with length {n1}",
    "",
    "goroutine {n3} [running]:",
    "main.(*{W}Handler).ServeHTTP(0xc000{hex8}, {n2})",
    "\t/src/{w}/handler.go:{n3} +0x1d4",
    "created by net/http.(*Server).Serve in goroutine 1",
    "\t/usr/local/go/src/net/http/server.go:3285 +0x4b4",
    "exit status 2",
)
_NODE = (
    "TypeError: Cannot read properties of undefined (reading '{w}')",
    "    at {W}.load (/app/src/{w}.js:{n3}:{n2})",
    "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "    at async /app/src/server.js:{n2}:{n1}",
)


def render_units(rng: random.Random) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Without end: (stdout or stderr, the lines that were written together)."""
    kinds = [*_LINES]
    weights = [weight for weight, _, _ in kinds]
    while True:
        roll = rng.random()
        if roll < 0.012:
            lines = rng.choice((_JAVA, _PYTHON, _GO, _NODE))
            yield "stderr", tuple(_fill(line, rng) for line in _same(lines, rng))
        elif roll < 0.20:
            yield "stdout", (_json_line(rng),)
        elif roll < 0.2001:
            yield (
                "stdout",
                (f"dump of {rng.choice(_WORDS)}: " + " ".join(_fill("{hex16}:{n6}", rng) for _ in range(900)),),
            )
        else:
            _, iostream, template = rng.choices(kinds, weights)[0]
            yield iostream, (_fill(template, rng),)


def _same(lines: tuple[str, ...], rng: random.Random) -> Iterator[str]:
    """One word for all lines of a trace."""
    word = rng.choice(_WORDS)
    return (line.replace("{w}", word).replace("{W}", word.capitalize()) for line in lines)


def _fill(template: str, rng: random.Random) -> str:
    """Replace {name}s; braces are not nested and a line without any is returned as it is."""
    parts = template.split("{")
    out = [parts[0]]
    for part in parts[1:]:
        name, rest = part.split("}", 1)
        out += (_value(name, rng), rest)
    return "".join(out)


def _value(name: str, rng: random.Random) -> str:
    if name[0] == "n":  # n1..n8: a number of that many digits
        return str(rng.randrange(10 ** (int(name[1:]) - 1), 10 ** int(name[1:])))
    if name.startswith("hex"):
        digits = int(name[3:])
        return f"{rng.getrandbits(4 * digits - 8):0{digits - 2}x}a7"  # always has a letter and a digit
    match name:
        case "w":
            return rng.choice(_WORDS)
        case "W":
            return rng.choice(_WORDS).capitalize()
        case "ip":
            return f"10.{rng.randrange(10, 100)}.{rng.randrange(10, 100)}.{rng.randrange(1, 10)}"
        case "uuid":
            return f"{rng.getrandbits(24):06x}a7-{rng.getrandbits(16):04x}-4{rng.getrandbits(12):03x}-9{rng.getrandbits(12):03x}-{rng.getrandbits(40):010x}b3"
        case "host":
            return rng.choice(_HOSTS)
        case "agent":
            return rng.choice(_AGENTS)
        case "text":
            return rng.choice(_TEXTS)
        case _:
            raise KeyError(f"no value for {{{name}}} in a template")


def _json_line(rng: random.Random) -> str:
    """A structured line of one of five loggers (ECS, pino, zap, bunyan-like, Python json)."""
    word, number = rng.choice(_WORDS), int(_value("n6", rng))
    message = _fill(rng.choice(("{w} updated", "{w} sent to {host}", "slow {w}: {n4} ms", "{text}")), rng)
    body: dict[str, object]
    match rng.randrange(5):
        case 0:
            body = {"@timestamp": T + "Z", "log.level": "info", "message": message, "trace.id": _value("hex16", rng)}
        case 1:
            body = {
                "level": 30,
                "time": int("1" + _value("n8", rng)),
                "pid": number,
                "msg": message,
                "req": {"id": number, "url": f"/{word}/{number}"},
            }
        case 2:
            body = {
                "level": rng.choice(("info", "warn", "error")),
                "ts": 1767225600.5,
                "caller": f"{word}/server.go:{number % 900 + 100}",
                "msg": message,
                "id": _value("uuid", rng),
            }
        case 3:
            body = {
                "severity": "DEBUG",
                "msg": message,
                "duration_ms": number / 1000 + 1,
                "ok": True,
                "tags": [word, "prod"],
            }
        case _:
            body = {
                "asctime": C,
                "levelname": rng.choice(("INFO", "WARNING")),
                "name": f"acme.{word}",
                "message": message,
                "extra": {"user": {"id": number, "ip": _value("ip", rng)}},
            }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
