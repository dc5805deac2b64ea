"""Links of a chained Ogg file (RFC 3533, section 4): complete streams that follow each other."""

import mmap
import re
from pathlib import Path

_FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x03\x06\x07]")


END_OF_STREAM = 4


def ends_whole(path: Path) -> bool:
    """Return whether the last page of the file is the last page of its stream."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.rfind(b"OggS")
        return 0 <= place < len(data) - 5 and bool(data[place + 5] & END_OF_STREAM)


def find_links(path: Path) -> list[int]:
    """Return the byte at which each link begins; one for a file that is not chained.

    A stream begins with a page of its own; streams whose first pages follow each other directly are multiplexed, and
    belong to one link.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        links: list[int] = []
        end_of_first_page = -1
        for match in _FIRST_PAGE.finditer(data):
            place = match.start()
            if place != end_of_first_page:
                links.append(place)
            segments = data[place + 26] if place + 27 <= len(data) else 0
            end_of_first_page = place + 27 + segments + sum(data[place + 27 : place + 27 + segments])
    return links
