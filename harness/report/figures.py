"""Figures as PNG and SVG that say who drew them, so that nothing else is written over."""

import pathlib
import sys

MAKER = "kvbench"
METADATA = {"png": {"Software": MAKER}, "svg": {"Creator": MAKER, "Date": None}}


def save(figure, path: pathlib.Path):
    """Writes PATH.png and PATH.svg and prints their names; a file of others ends the program."""
    for suffix, metadata in METADATA.items():
        name = path.parent / f"{path.name}.{suffix}"
        if name.exists() and MAKER.encode() not in name.read_bytes():
            sys.exit(f"{name}: was not drawn by {MAKER}; choose another folder")
        figure.savefig(name, dpi=150, metadata=metadata)
        print(name)
