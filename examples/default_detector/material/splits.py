"""Held-out ingredients: drum kits, instruments, soundfont programs, singers and speakers excluded from training.

Whole families are held out, since sets of one family share recordings (voc4 and VOC4 are one), and fonts share
programs.
"""

SPLITS = ("train", "heldout")

HELD_OUT = (
    # drum kits, by set
    *("oramics_pearl", "Roland-CR-8000", "Casio-RZ1", "oramics_LM-2", "uzu_drumkit", "GMRockKit", "sonicpi_tabla"),
    *("Millo", "VariBreaks", "Red_Zeppelin", "kit016"),
    # basses and instruments, by set or General MIDI program
    *("flbass", "gm035", "tonejs_casio", "oramics_OBOE", "lmms_pads"),
    *("gm003", "gm019", "gm029", "gm046", "gm066", "gm081", "gm090"),
    # singers and speakers
    *("davidson", "khair", "tammy", "todepond", "flite-rms"),
    *("klettres-it", "klettres-da", "klettres-cs", "ktuberling-fr", "ktuberling-el", "asterisk-ru", "gcin-5"),
    *(
        "variant-Annie",
        "variant-f2",
        "variant-linda",
        "variant-m5",
        "variant-robosoft7",
        "variant-victor",
        "variant-zac",
    ),
)


def split_of(name: str) -> str:
    """Return the split of an ingredient: held out if its name contains one of `HELD_OUT`.

    >>> split_of("oneshots/oramics_pearl"), split_of("singer/amy")
    ('heldout', 'train')
    """
    return "heldout" if any(held in name for held in HELD_OUT) else "train"
