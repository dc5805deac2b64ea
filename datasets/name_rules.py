"""Rules that map names of instrument files to the four sources: 'Lead Guitar.wav' is 'other'.

Défossez et al. 2019, section 5.1, assigned raw stems to sources by "simple rules on the filenames"; their example is
'Lead Guitar.wav'. Percussion without pitch counts as drums, as in MUSDB18; tuned percussion is 'other'. A name that
points to two sources, or to none, has no source and needs a --map.
"""

import re
from collections.abc import Iterable

from remix_miner.sources import SOURCES

MIXTURE = "mixture"

WORDS: dict[str, str] = {
    "vocals": "vocal vocals vox voc vocs voice voices singer singers vocalist vocalists singing choir rap rapper "
    "rapping bgv bgvs bv bvs adlib adlibs acapella acappella vocoder spoken whisper whispers scream screams "
    "shout shouts chant chants",
    "drums": "kick kik snare snr hat hats hihat hihats hh cymbal cymbals ride crash tom toms overhead overheads oh ohs "
    "drum drums drumset drumkit percussion perc percs conga congas bongo bongos timbales shaker shakers "
    "tambourine tamb cowbell maracas cajon djembe tabla claves guiro woodblock clap claps rimshot sidestick "
    "castanet castanets darbuka doumbek gong timbale",
    "bass": "bass subbass contrabass bs basslines bassline",
    "other": "guitar guitars gtr gtrs git piano pianos pno keys keyboard keyboards rhodes wurli wurlitzer organ "
    "hammond synth synths synthesizer synthesiser pad pads arp arps pluck plucks strings string violin "
    "violins viola violas cello cellos brass trumpet trumpets trombone trombones horn horns sax saxes "
    "saxophone saxophones flute flutes clarinet clarinets oboe oboes bassoon bassoons harp banjo mandolin "
    "mandolins ukulele uke harmonica accordion concertina melodica sitar oud bell bells chimes glockenspiel "
    "glock marimba vibraphone vibes xylophone celesta timpani mellotron clav clavinet harpsichord dobro fx "
    "sfx effects orchestra woodwind woodwinds bagpipe kazoo theremin cornet euphonium tuba flugelhorn piccolo "
    "other others bouzouki zither erhu dizi guzheng yangqin liuqin pipa whistle acoustic electric",
    MIXTURE: "mix mixture mixdown master",
}

PHRASES: dict[str, str] = {
    "vocals": "male singer|female singer|backing vocals|lead vocal|lead vocals|lead vox|bass vocal|bass vocals|"
    "bass voice|bass singer",
    "drums": "bass drum|kick drum|kick in|kick out|floor tom|rack tom|hi hat|high hat|drum set|drum kit|drum machine|"
    "drum room|sleigh bells|sleigh bell",
    "bass": "double bass|upright bass|bass guitar|electric bass|acoustic bass|synth bass|bass synth|sub bass",
    "other": "bass clarinet|bass trombone|bass sax|bass saxophone|bass flute|bass harmonica|steel drum|steel drums|"
    "steel pan|tubular bells|string bass drum|lead guitar|lead synth|pedal steel|lap steel|french horn|string section|"
    "brass section|horn section",
    MIXTURE: "full mix|rough mix|stereo mix",
}

QUALIFIERS = {
    "bass": {"guitar", "gtr", "synth", "synthesizer", "keys", "organ", "acoustic", "electric", "string"},
    "drums": {"synth", "synthesizer", "acoustic", "electric", "fx", "effects", "mix", "bass"},
    "vocals": {"fx", "sfx", "effects", "mix"},
    "other": {"mix"},
}
"""Words that do not change a source: a 'Bass Synth' is bass, a 'Vocal FX' vocals, a 'Guitar Mix' other."""

_SOURCE_OF_WORD = {word: source for source, words in WORDS.items() for word in words.split()}
_SOURCE_OF_PHRASE = {
    tuple(phrase.split()): source for source, phrases in PHRASES.items() for phrase in phrases.split("|")
}


def instrument_name(file_stem: str, song: str = "") -> str:
    """Return a file's name as words: no numbers, no case, and without the words of the song's name in front.

    >>> instrument_name("03_LeadGtr2"), instrument_name("Ann - Go_Kick In", song="Ann - Go")
    ('lead gtr', 'kick in')
    """
    words, of_song = _words(file_stem), _words(song)
    if of_song and words[: len(of_song)] == of_song and len(words) > len(of_song):
        words = words[len(of_song) :]
    return " ".join(words) or file_stem.strip().lower()


def source_of(name: str) -> str | None:
    """Return the source of an instrument's name, `MIXTURE` for a mix of them, None where the rules give none or two.

    >>> source_of("lead guitar"), source_of("bass drum"), source_of("bass synth"), source_of("loop")
    ('other', 'drums', 'bass', None)
    """
    words = name.split()
    found: dict[str, list[str]] = {}
    place = 0
    while place < len(words):
        for length in (3, 2):
            phrase = tuple(words[place : place + length])
            if len(phrase) == length and phrase in _SOURCE_OF_PHRASE:
                found.setdefault(_SOURCE_OF_PHRASE[phrase], []).append(" ".join(phrase))
                place += length
                break
        else:
            if words[place] in _SOURCE_OF_WORD:
                found.setdefault(_SOURCE_OF_WORD[words[place]], []).append(words[place])
            place += 1
    for source in ("drums", "vocals", "bass", "other"):
        others = [word for other, listed in found.items() if other != source for word in listed]
        if source in found and all(word in QUALIFIERS[source] for word in others):
            # 'Drum Bass' is no drum: only in front does 'bass' qualify one.
            if source == "drums" and "bass" in others and words.index("bass") > 0:
                continue
            return source
    return MIXTURE if list(found) == [MIXTURE] else None


def sources_named(file_stems: Iterable[str]) -> set[str]:
    """Return the sources that some files name, each file exactly one."""
    return {source for stem in file_stems if (source := source_of(instrument_name(stem))) in SOURCES}


def _words(text: str) -> list[str]:
    """Return lower-case words of letters; a capital after a small letter begins a word, a number ends one."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return [word.lower() for word in re.findall(r"[^\W\d_]+", spaced)]
