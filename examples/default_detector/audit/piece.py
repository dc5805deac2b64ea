"""Picture of one piece as on the sheets of an audit, for a page.

python examples/default_detector/audit/piece.py TRACK SECONDS OUT.png --source drums
"""

import argparse
from pathlib import Path

from pictures import draw_sheet
from pieces import Stretch, read_piece

from remix_miner.errors import RemixMinerError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("track", type=Path)
    parser.add_argument("start_seconds", type=float, metavar="SECONDS")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--source", required=True, choices=("drums", "bass", "vocals"))
    parser.add_argument("--length", type=float, default=6.0, help="in seconds")
    options = parser.parse_args()
    piece = Stretch(str(options.track), options.start_seconds, options.start_seconds + options.length)
    try:
        audio = read_piece(options.track, piece)
    except RemixMinerError as error:
        raise SystemExit(str(error)) from error
    draw_sheet(options.out, [(1, audio)], options.source)


if __name__ == "__main__":
    main()
