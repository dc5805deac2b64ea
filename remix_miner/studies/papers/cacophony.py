"""Studies of 'Why does music source separation benefit from cacophony?' (Jeon et al. 2024)."""

from remix_miner.studies import dynamics
from remix_miner.studies.dynamics import QUARTERS, SETS, stage_name
from remix_miner.studies.perturbation import Perturbation
from remix_miner.studies.plan import ORIGINAL, Arm, Claim, Study

PAPER = "Jeon et al. 2024"
ORIGINAL_MIXES = {"mixing": {"original_probability": 1.0}}


def random_mix_share() -> Study:
    """Return the study of the share p of original mixes among the training mixes (figure 1)."""
    shares = (0.0, 0.1, 0.5, 0.9, 1.0)
    return Study(
        "random-mix-share",
        f"{PAPER}, figure 1",
        "How does the share p of original mixes change the score?",
        "share p of original mixes",
        tuple(Arm(f"p={share:g}", {"mixing": {"original_probability": share}}) for share in shares),
        (
            Claim("p=0", "p=1", "section 3", 2.1),
            Claim("p=0.9", "p=1", "section 3", 1.0),
            Claim("p=0.1", "p=1", "figure 1", 2.08),
            Claim("p=0", "p=0.9", "sections 3 and 3.2", 1.1),
        ),
    )


def unique_mixes() -> Study:
    """Return the study of the number R of distinct random mixes, from all songs and from half of them (figure 3)."""
    shares = (0.0009, 0.01, 0.1, 1.0)
    whole = [Arm(f"R={100 * share:g}%", unique_share=share) for share in shares]
    half = [Arm(f"half of the songs, R={100 * share:g}%", songs=0.5, unique_share=share) for share in (0.1, 1.0)]
    return Study(
        "unique-mixes",
        f"{PAPER}, figure 3",
        "How many distinct random mixes does training need, and how many songs?",
        "distinct mixes, of all examples",
        (*whole, *half),
        (
            Claim("R=10%", "R=0.09%", "section 4", 3.2),
            Claim("R=100%", "R=0.09%", "section 4", 3.2),
            Claim("R=10%", "half of the songs, R=100%", "figure 3", None),
            Claim("R=100%", "half of the songs, R=100%", "figure 3", None),
        ),
    )


def test_shifts() -> Study:
    """Return the study of test songs whose stems are shifted in time or pitch (figure 4)."""
    sets = {ORIGINAL: Perturbation()}
    sets |= {f"time {shift:g} s": Perturbation(time_shift_seconds=shift, draws=3) for shift in (0.03, 0.3, 1.0)}
    sets |= {f"pitch {step}": Perturbation(semitones=step, draws=3) for step in (1, 3)}
    arms = (Arm("p=0", {"mixing": {"original_probability": 0.0}}), Arm("p=1", ORIGINAL_MIXES))
    claims = []
    for arm in ("p=0", "p=1"):
        claims.append(Claim(arm, arm, "figure 4(a)", 0.9, better_set="time 1 s"))
        claims.append(Claim(arm, arm, "figure 4(b)", 1.0, better_set="pitch 3"))
    return Study(
        "test-shifts",
        f"{PAPER}, figure 4",
        "Are songs easier to separate when their stems disagree in beat or key?",
        "shift of the test songs' stems",
        arms,
        tuple(claims),
        sets,
    )


def train_shifts() -> Study:
    """Return the study of original mixes with stems shifted in time or pitch, in training (figure 5)."""
    arms = [Arm("original", ORIGINAL_MIXES)]
    for shift in (0.03, 0.1, 1.0):
        arms.append(Arm(f"time {shift:g} s", {"mixing": {"original_probability": 1.0, "time_shift_seconds": shift}}))
    arms.append(Arm("within the song", {"mixing": {"original_probability": 1.0, "within_song": True}}))
    for consistent in (True, False):
        pitch = {"probability": 1.0, "semitones": 3, "consistent": consistent}
        name = f"pitch 3, {'consistent' if consistent else 'inconsistent'}"
        arms.append(Arm(name, {"mixing": {"original_probability": 1.0, "pitch_tempo": pitch}}))
    arms.append(Arm("random mixes", {"mixing": {"original_probability": 0.0}}))
    return Study(
        "train-shifts",
        f"{PAPER}, figure 5",
        "Do shifted stems in training replace random mixes?",
        "shift of the stems in training",
        tuple(arms),
        (
            Claim("time 1 s", "original", "figure 5(a)", None),
            Claim("within the song", "original", "figure 5(a)", None),
            Claim("pitch 3, inconsistent", "pitch 3, consistent", "figure 5(b)", None),
            Claim("random mixes", "within the song", "section 4", None),
        ),
    )


def song_level_mixes() -> Study:
    """Return the study of songs made of stems of different songs, fixed once (table 1)."""
    shuffled = {"mixing": {"original_probability": 1.0, "shuffle_songs": True}}
    return Study(
        "song-level-mixes",
        f"{PAPER}, table 1",
        "What does training lose when every song is a fixed mixture of stems of other songs?",
        "training songs",
        (Arm("original", ORIGINAL_MIXES), Arm("random songs", shuffled), Arm("R=0.09%", unique_share=0.0009)),
        (
            Claim("original", "random songs", "table 1", 5.4),
            Claim("R=0.09%", "random songs", "section 4", 4.3),
            Claim("original", "R=0.09%", "section 4", 1.1),
        ),
    )


def training_dynamics() -> Study:
    """Return the study of scores during training, on mixes of training and test songs (figure 2)."""
    arms = tuple(Arm(f"p={share:g}", {"mixing": {"original_probability": share}}) for share in (1.0, 0.5, 0.0))
    sets = {stage_name(name, quarter): Perturbation() for quarter in range(1, QUARTERS + 1) for name in SETS}
    trained, unseen = SETS[0], SETS[2]

    def later(arm: str, name: str, falls: bool = False) -> Claim:
        first, last = stage_name(name, 1), stage_name(name, QUARTERS)
        better, worse = (first, last) if falls else (last, first)
        return Claim(arm, arm, "section 3.1, figure 2", None, better_set=better, worse_set=worse)

    def at_the_end(better: str, worse: str, name: str) -> Claim:
        end = stage_name(name, QUARTERS)
        return Claim(better, worse, "section 3.1, figure 2", None, better_set=end, worse_set=end)

    return Study(
        "training-dynamics",
        f"{PAPER}, figure 2",
        "Which mixes does a separator overfit to during training?",
        "share p of original mixes",
        arms,
        (
            later("p=1", trained),
            later("p=1", unseen, falls=True),
            later("p=0.5", unseen),
            later("p=0", unseen),
            at_the_end("p=0.5", "p=0", trained),
            at_the_end("p=0", "p=0.5", unseen),
        ),
        sets,
        jobs=dynamics.jobs,
        stages=True,
    )
