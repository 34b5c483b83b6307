"""Charts as PNG and SVG that say who drew them, so that nothing else is written over."""

import pathlib
import struct
import sys
import zlib

import vl_convert

MAKER = "kvbench"


def png(spec):
    drawn = vl_convert.vegalite_to_png(spec, scale=2)
    text = b"tEXtSoftware\0" + MAKER.encode()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    after_header = 8 + 25  # the signature and the first chunk, whose size is fixed
    return drawn[:after_header] + chunk + drawn[after_header:]


def svg(spec):
    start, end = vl_convert.vegalite_to_svg(spec).split(">", 1)
    return f"{start}><desc>{MAKER}</desc>{end}".encode()


def save(spec, path: pathlib.Path):
    """Writes PATH.png and PATH.svg and prints their names; a file of others ends the program."""
    for suffix, draw in {"png": png, "svg": svg}.items():
        name = path.parent / f"{path.name}.{suffix}"
        if name.exists() and MAKER.encode() not in name.read_bytes():
            sys.exit(f"{name}: was not drawn by {MAKER}; choose another folder")
        name.write_bytes(draw(spec))
        print(name)
