"""Downloads a model, or files of a data set, of the Hugging Face Hub into the hub's cache:

    hub.py model ORG/NAME --cache DIR --copy TEXT [--revision R] [--known ORG/NAME ...]
    hub.py dataset ORG/NAME --cache DIR --copy TEXT --revision COMMIT --files PATTERN ...

Token, endpoint and time limits come from the environment variables of the huggingface_hub package.
Only what kvbench reads is fetched; a download that broke off goes on where it stopped. Prints the
snapshot's folder and exits with 0, or prints one line that says why there is none and what to do
(TEXT: without a network), and exits with 2. Progress is shown on stderr.
"""
import argparse
import difflib
import errno
import hashlib
import json
import os
import shutil
import signal
import sys
from fnmatch import fnmatchcase
from pathlib import Path

# Plain HTTP goes on with a file where it broke off; what the xet protocol had is lost with the
# process.
os.environ["HF_HUB_DISABLE_XET"] = "1"
if not sys.stderr.isatty():  # a line of progress now and then
    os.environ.setdefault("TQDM_MININTERVAL", "15")

import httpx
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (FileMetadataError, GatedRepoError, HfHubHTTPError,
                                    OfflineModeIsEnabled, RepositoryNotFoundError,
                                    RevisionNotFoundError)

CONFIG = "config.json"
NEEDED = ["generation_config.json", "tokenizer.json", "tokenizer_config.json",
          "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
          "chat_template.json", "model.safetensors.index.json"]
WEIGHTS, TEMPLATES = "*.safetensors", "additional_chat_templates/*.jinja"
KINDS = {"model": "model", "dataset": "data set"}
CHANGED = "it changed while it was fetched; give the same command again"


class Refused(Exception):
    """What kvbench prints: one line."""


def is_needed(file):
    folder, _, name = file.rpartition("/")
    if folder:
        return folder == "additional_chat_templates" and fnmatchcase(file, TEMPLATES)
    return name in NEEDED or fnmatchcase(name, WEIGHTS) and not name.startswith("consolidated")


def gigabytes(size):
    return f"{size / 1e9:.2f} GB"


def nearest(name, known, api):
    """The name most like it among ours and those that the hub finds; None when none is close."""
    known = list(known)
    try:
        for words in (name.split("/")[1], name.split("/")[0]):
            known += [model.id for model in api.list_models(search=words, limit=100)]
    except Exception:  # the hub answered that there is no such model; it need not search too
        pass
    by_lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def unknown_revision(args, api):
    try:
        refs = api.list_repo_refs(args.name, repo_type=args.kind)
        known = sorted(ref.name for ref in [*refs.branches, *refs.tags])
    except Exception:  # the refusal stands without them
        known = []
    close = difflib.get_close_matches(args.revision, known, n=1, cutoff=0.5)
    return (f"no revision {args.revision}" + (f"; did you mean {close[0]}?" if close else "") +
            (f" (known: {', '.join(known[:20])})" if known else ""))


def causes(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def reason(error, args, api):
    """One line for an exception of huggingface_hub; None for one that is none of its business."""
    hub = api.endpoint
    for e in causes(error):
        if isinstance(e, GatedRepoError):
            page = f"{hub}/{'datasets/' if args.kind == 'dataset' else ''}{args.name}"
            return (f"access is restricted: accept the conditions at {page}, then set "
                    "HF_TOKEN to a token of that account")
        if isinstance(e, RevisionNotFoundError):
            return unknown_revision(args, api)
        if isinstance(e, OfflineModeIsEnabled):
            return f"HF_HUB_OFFLINE is set: unset it, or {args.copy}"
        if isinstance(e, RepositoryNotFoundError):
            # The name of a data set was not typed.
            close = nearest(args.name, args.known, api) if args.kind == "model" else None
            hint = f"; did you mean {close}?" if close else ""
            return (f"there is no such {KINDS[args.kind]} at {hub}{hint} (a private one needs "
                    "HF_TOKEN)")
        if isinstance(e, HfHubHTTPError):
            status = e.response.status_code
            if status in (401, 403):
                return f"{hub} refuses the token ({status}): set HF_TOKEN to a valid one, or to none"
            if status == 416:
                return damaged_part(args)
            return f"{hub} answered {status} {e.response.reason_phrase}; try again later"
        if isinstance(e, (httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout)):
            return f"the download broke off ({e}); the same command goes on where it stopped"
        if isinstance(e, httpx.TransportError):
            return (f"{hub} cannot be reached ({e}): check the network or set HF_ENDPOINT to a "
                    f"mirror, or {args.copy}")
        if isinstance(e, httpx.InvalidURL):
            return f"HF_ENDPOINT: {hub} is no address ({e})"
        if isinstance(e, (FileMetadataError, json.JSONDecodeError)):
            return f"{hub} does not answer as a Hugging Face Hub: check HF_ENDPOINT and the network"
    if str(error).startswith("Consistency check failed"):
        return damaged_part(args)
    for e in causes(error):
        if isinstance(e, OSError) and e.errno is not None:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                return (f"the disk of {args.cache} is full; the same command goes on where it "
                        "stopped")
            return f"{e.filename or args.cache}: {e.strerror}"
    return None


def damaged_part(args):
    return ("what an interrupted download left is longer than the file: remove "
            f"{repo_folder(args)}/blobs/*.incomplete and give the same command again")


def repo_folder(args):
    return Path(args.cache, f"{args.kind}s--{args.name.replace('/', '--')}")


def check_content(file):
    """Large files are named by their SHA-256; one in parts may hold a part of something else."""
    blob, sha256 = file.resolve(), hashlib.sha256()
    if len(blob.name) != sha256.digest_size * 2:
        return
    with blob.open("rb") as opened:
        while block := opened.read(1 << 20):
            sha256.update(block)
    if sha256.hexdigest() != blob.name:
        file.unlink()
        blob.unlink()
        raise Refused(f"{file.name} was damaged on its way; give the same command again")


def check_room(cache, files):
    folder = Path(cache)
    while not folder.exists():
        folder = folder.parent
    needed, free = sum(files.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise Refused(f"{gigabytes(needed)} to fetch, {gigabytes(free)} free at {cache}; "
                      "set HF_HOME to a folder on another disk")


def files_at(args, api):
    """The commit of the revision, and the size of every file that it has."""
    info = api.repo_info(args.name, revision=args.revision, repo_type=args.kind,
                         files_metadata=True)
    return info.sha, {file.rfilename: file.size or 0 for file in info.siblings or []}


def download(args, commit, needed):
    """Into the snapshot, what it lacks of the files; they and their sizes are `needed`."""
    snapshot = repo_folder(args) / "snapshots" / commit
    missing = {name: size for name, size in needed.items() if not (snapshot / name).exists()}
    check_room(args.cache, missing)
    if missing:
        print(f"kvbench: {args.name}: fetching {len(missing)} files, "
              f"{gigabytes(sum(missing.values()))}", file=sys.stderr)
        snapshot_download(args.name, repo_type=args.kind, revision=commit, cache_dir=args.cache,
                          allow_patterns=[glob_escape(name) for name in missing])
        for name in missing:
            check_content(snapshot / name)
    return snapshot


def check_complete(snapshot, needed):
    if any(not (snapshot / name).exists() for name in needed):
        raise Refused(CHANGED)


def fetch_model(args, api):
    commit, files = files_at(args, api)
    if CONFIG not in files:
        raise Refused(f"it has no {CONFIG}: expected a model in the format of transformers")
    needed = {name: size for name, size in files.items() if is_needed(name)}
    if not any(name.endswith(".safetensors") for name in needed):
        raise Refused("it has no weights in *.safetensors, the one format that kvbench reads")
    snapshot = download(args, commit, needed)
    # Last: where it is, all of them are. It also says which commit the revision is.
    config = hf_hub_download(args.name, CONFIG, revision=args.revision, cache_dir=args.cache)
    if Path(config).parent != snapshot:
        raise Refused(CHANGED)
    check_complete(snapshot, needed)
    return snapshot


def matches(name, pattern):
    """As for a path of the shell: * is any text without a slash."""
    return fnmatchcase(name, pattern) and name.count("/") == pattern.count("/")


def fetch_data(args, api):
    commit, files = files_at(args, api)
    for pattern in args.files:
        if not any(matches(name, pattern) for name in files):
            raise Refused(f"{args.name} has no file {pattern} at {commit}")
    needed = {name: size for name, size in files.items()
              if any(matches(name, pattern) for pattern in args.files)}
    snapshot = download(args, commit, needed)
    check_complete(snapshot, needed)
    return snapshot


def glob_escape(name):
    """A pattern of fnmatch that matches this file alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name")
    parser.add_argument("--cache", required=True)
    parser.add_argument("--copy", required=True, help="what can be done without a network")
    parser.add_argument("--revision", default=constants.DEFAULT_REVISION)
    parser.add_argument("--known", nargs="*", default=[],
                        help="names that a misspelt one may mean")
    parser.add_argument("--files", nargs="*", default=[], help="those of a data set")
    args = parser.parse_args()
    # At once, with what the files have by then: Python would wait for the transfers to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    api = HfApi()
    try:
        print(fetch_model(args, api) if args.kind == "model" else fetch_data(args, api))
    except Exception as e:
        line = str(e) if isinstance(e, Refused) else reason(e, args, api)
        if line is None:
            raise
        print(" ".join("".join(c if c.isprintable() else " " for c in line).split()))
        sys.exit(2)


if __name__ == "__main__":
    main()
