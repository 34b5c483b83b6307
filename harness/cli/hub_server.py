"""A small Hugging Face Hub for hub_test.cpp and data_test.cpp: hub_server.py FOLDER TOKEN

Serves the models FOLDER/ORG/NAME and the data sets FOLDER/datasets/ORG/NAME on a free port of
127.0.0.1, which it prints, through the parts of the hub's interface that huggingface_hub uses.
Every request is a line of FOLDER/log: method, path, status, range. Models of the organisation
`gated` want the token for their files, those of `private` for everything. FOLDER/commits, when
there, names the commits of some of them. While FOLDER/cut holds a number, a transfer of a large
file ends after so many bytes.
"""
import hashlib
import json
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT, TOKEN = Path(sys.argv[1]), sys.argv[2]
LARGE = (".safetensors", ".zip", ".parquet")


class Refused(Exception):
    def __init__(self, status, code, message=""):
        self.status, self.headers = status, {"X-Error-Code": code, "X-Error-Message": message}


def files_of(repo):
    folder = ROOT / repo
    return {str(f.relative_to(folder)): f for f in sorted(folder.rglob("*")) if f.is_file()}


def commit_of(repo):
    named = ROOT / "commits"
    if named.exists() and (commit := json.loads(named.read_text()).get(repo)):
        return commit
    names = [f"{name} {sha256(file)}" for name, file in files_of(repo).items()]
    return hashlib.sha1("\n".join(names).encode()).hexdigest()


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer()

    def log_message(self, *_):
        pass

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        try:
            authorization = self.headers.get("Authorization")
            if authorization not in (None, f"Bearer {TOKEN}"):
                raise Refused(401, "", "Invalid credentials in Authorization header")
            if parts == ["api", "models"]:
                self.send_json(self.model_list(dict(urllib.parse.parse_qsl(url.query))))
            elif parts[0] == "cdn":  # ORG/NAME/FILE, datasets/ORG/NAME/FILE
                self.send_file(ROOT.joinpath(*parts[1:]), {})
            elif parts[:2] == ["api", "models"]:
                self.send_json(self.about(self.known(parts[2:4]), parts[4:]))
            elif parts[:2] == ["api", "datasets"]:
                self.send_json(self.about(self.known(parts[1:4]), parts[4:]))
            elif parts[0] == "datasets" and parts[3] == "resolve":
                self.resolve(self.known(parts[:3]), parts[4], "/".join(parts[5:]))
            elif parts[2] == "resolve":
                self.resolve(self.known(parts[:2]), parts[3], "/".join(parts[4:]))
            else:
                raise Refused(404, "")
        except Refused as refused:
            self.send(refused.status, refused.headers, b"")

    def known(self, parts):
        repo = "/".join(parts)
        may_see = self.headers.get("Authorization") or parts[0] != "private"
        if not may_see or not (ROOT / repo).is_dir():
            raise Refused(404 if self.headers.get("Authorization") else 401, "RepoNotFound")
        return repo

    def check_revision(self, repo, revision):
        if revision not in ("main", "v1.0", commit_of(repo)):
            raise Refused(404, "RevisionNotFound")

    def model_list(self, query):
        names = [f"{path.parent.name}/{path.name}" for path in sorted(ROOT.glob("*/*/"))]
        return [{"id": name} for name in names if query["search"].lower() in name.lower()]

    def about(self, repo, parts):
        if parts == ["refs"]:
            at = commit_of(repo)
            return {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": at}],
                    "tags": [{"name": "v1.0", "ref": "refs/tags/v1.0", "targetCommit": at}],
                    "converts": []}
        self.check_revision(repo, parts[1] if parts else "main")
        sizes = json.loads((ROOT / "sizes").read_text()) if (ROOT / "sizes").exists() else {}
        return {"id": repo.removeprefix("datasets/"), "sha": commit_of(repo), "siblings": [
            {"rfilename": name, "size": sizes.get(name, file.stat().st_size),
             "blobId": hashlib.sha1(name.encode()).hexdigest()}
            for name, file in files_of(repo).items()]}

    def resolve(self, repo, revision, name):
        self.check_revision(repo, revision)
        commit = {"X-Repo-Commit": commit_of(repo)}
        if repo.startswith("gated/") and not self.headers.get("Authorization"):
            raise Refused(401, "GatedRepo", "Access to this model is restricted")
        file = files_of(repo).get(name)
        if file is None:
            raise Refused(404, "EntryNotFound")
        if not name.endswith(LARGE):
            tag = hashlib.sha1(file.read_bytes()).hexdigest()
            self.send_file(file, commit | {"ETag": f'"{tag}"'})
            return
        # Large files lie elsewhere: a relative address would say that the model has another name.
        here = f"http://{self.headers['Host']}"
        self.send(302, commit | {"Location": f"{here}/cdn/{repo}/{name}",
                                 "X-Linked-Size": str(file.stat().st_size),
                                 "X-Linked-Etag": f'"{sha256(file)}"'}, b"")

    def send_file(self, file, headers):
        content, wanted = file.read_bytes(), self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        size = len(content)
        if start >= size:
            raise Refused(416, "")
        if wanted:
            headers = headers | {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
        self.send(206 if wanted else 200, headers, content[start:], file.suffix in LARGE)

    def send_json(self, value):
        self.send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def send(self, status, headers, body, may_be_cut=False):
        cut = ROOT / "cut"
        with (ROOT / "log").open("a") as log:
            log.write(f"{self.command} {self.path} {status} {self.headers.get('Range') or '-'}\n")
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if may_be_cut and cut.exists():
            self.wfile.write(body[:int(cut.read_text())])
            self.close_connection = True
            return
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_port, flush=True)
server.serve_forever()
