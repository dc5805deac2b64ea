"""The review server: who may ask, what is streamed, what is listed, what a decision does."""

import io
import json
import sqlite3

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette", reason="the extra 'review' is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from starlette.testclient import TestClient

from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import LibraryFolders, remember_folders
from remix_miner.mined.reviews.decisions import review_transaction
from remix_miner.review.listing import Filter, count_listed, list_page
from remix_miner.review.pictures import BANDS, spectrogram
from remix_miner.review.server import review_app
from remix_miner.review.session import ReviewSettings, Session

from .conftest import MINED_RATE, mined_audio

TOKEN = "secret"
HOSTILE = "library/<img src=x onerror=alert(1)>&\"'.wav"
TRACKS = {
    HOSTILE: {"drums": [6.0, 7.0]},
    "library/b.wav": {"bass": [8.0], "vocals": [9.0]},
}


@pytest.fixture
def folder(tmp_path, mine):
    mine(tmp_path / "mined", TRACKS).close()
    return tmp_path / "mined"


@pytest.fixture
def library(tmp_path):
    """The files behind the tracks: 180 s of mono noise, long enough for context."""
    (tmp_path / "library").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * MINED_RATE).astype(np.float32)
    for name in TRACKS:
        soundfile.write(tmp_path / name, noise, MINED_RATE)
    return tmp_path / "library"


@pytest.fixture
def client(folder, library):
    session = Session(ReviewSettings(folder, (library,), "ada"))
    with TestClient(review_app(session, TOKEN, ["127.0.0.1"]), base_url="http://127.0.0.1:8000") as client:
        yield client
    session.close()


def get(client, path: str, **headers):
    return client.get(f"/{TOKEN}/{path}", headers=headers)


def excerpt_audio(client, key: str = "e1"):
    return soundfile.read(io.BytesIO(get(client, f"audio/{key}/excerpt.wav").content), always_2d=True)


# --- who may ask -----------------------------------------------------------------------------------------------------


def test_the_token_is_needed_for_everything(client):
    assert get(client, "").status_code == 200
    assert client.get("/").status_code == 403
    assert client.get("/wrong/").status_code == 403
    assert client.get("/wrong/api/overview").status_code == 403
    assert client.get("/api/overview").status_code == 403
    assert client.get(f"/{TOKEN}x/api/overview").status_code == 403
    assert client.get(f"/wrong/../{TOKEN[:-1]}/").status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example:8000", "", "10.0.0.1"])
def test_other_names_of_this_machine_are_refused(client, host):
    assert get(client, "api/overview", host=host).status_code == 403


def test_with_a_public_host_numeric_addresses_pass_and_names_do_not(folder):
    app = review_app(Session(ReviewSettings(folder)), TOKEN, ["127.0.0.1"], any_address=True)
    client = TestClient(app, base_url="http://127.0.0.1")
    assert [get(client, "api/overview", host=host).status_code for host in ("192.168.1.5:80", "[::1]:80")] == [200, 200]
    assert get(client, "api/overview", host="evil.example:80").status_code == 403


def test_other_origins_are_refused(client):
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:8000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert get(client, "api/overview", **headers).status_code == 403, headers
    assert get(client, "api/overview", origin="http://127.0.0.1:8000").status_code == 200
    response = client.post(f"/{TOKEN}/api/undo", content="{}", headers={"content-type": "text/plain"})
    assert response.status_code == 400


def test_headers_keep_the_page_to_itself(client):
    headers = get(client, "").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers


def test_no_path_leads_out_of_the_page(client, folder):
    for path in ("../server.py", "..%2fserver.py", "%2e%2e/server.py", "....//server.py", "/etc/passwd", "%00"):
        assert get(client, path).status_code in (400, 403, 404), path
    for path in ("audio/e1/../../excerpt.wav", "audio/e1/..%2f..%2fcatalogue.sqlite", "audio/e1%00/excerpt.wav"):
        assert get(client, path).status_code in (403, 404), path
    for key in ("e999", "e-1", "a0", "x1", "e" + "9" * 40, "e1;drop", "e١"):
        assert get(client, f"api/items/{key}").status_code == 404, key


def test_a_name_with_html_arrives_as_text(client):
    row = get(client, "api/excerpts?source=drums").json()["rows"][0]
    assert row["track"] == HOSTILE
    response = get(client, "api/items/e1")
    assert response.headers["content-type"] == "application/json"
    page = get(client, "").text
    assert "innerHTML" not in page + get(client, "review.js").text + get(client, "list.js").text
    assert "<script>" not in page


# --- audio -----------------------------------------------------------------------------------------------------------


def test_an_excerpt_streams_as_it_is_stored(client):
    scale = get(client, "api/items/e1").json()["scale"]
    audio, rate = excerpt_audio(client)
    assert rate == MINED_RATE
    np.testing.assert_allclose(audio * scale, mined_audio(HOSTILE, "drums", 0, 6.0), atol=1e-4)


def test_ranges_are_parts_of_the_same_file(client):
    whole = get(client, "audio/e1/excerpt.wav").content
    assert len(whole) == 44 + 6 * MINED_RATE * 4
    for wanted, expected in (
        ("bytes=0-43", whole[:44]),
        ("bytes=40-101", whole[40:102]),
        ("bytes=1001-70002", whole[1001:70003]),
        (f"bytes={len(whole) - 3}-", whole[-3:]),
        ("bytes=-7", whole[-7:]),
        (f"bytes=100-{len(whole) * 2}", whole[100:]),
    ):
        response = get(client, "audio/e1/excerpt.wav", range=wanted)
        assert response.status_code == 206
        assert response.content == expected, wanted
        assert response.headers["content-length"] == str(len(expected))
        first, rest = response.headers["content-range"].removeprefix("bytes ").split("-")
        assert int(rest.split("/")[0]) - int(first) + 1 == len(expected)
    response = get(client, "audio/e1/excerpt.wav", range=f"bytes={len(whole)}-")
    assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    assert get(client, "audio/e1/excerpt.wav", range="pages=1-2").status_code == 200


def test_context_comes_from_the_library_at_its_own_level(client, library):
    item = get(client, "api/items/e2").json()  # starts at 10 s
    assert (item["before_seconds"], item["after_seconds"]) == (10.0, 10.0)
    audio, rate = soundfile.read(io.BytesIO(get(client, "audio/e2/before.wav").content))
    stored, _ = soundfile.read(library / HOSTILE.removeprefix("library/"), frames=10 * rate)
    np.testing.assert_allclose(audio, stored, atol=1e-4)


def test_without_a_library_there_is_no_context_and_the_excerpt_plays(folder):
    session = Session(ReviewSettings(folder))
    client = TestClient(review_app(session, TOKEN, ["127.0.0.1"]), base_url="http://127.0.0.1")
    assert get(client, "api/items/e1").json()["before_seconds"] == 0
    assert get(client, "audio/e1/before.wav").status_code == 404
    assert "--library" in get(client, "api/items/e1/probabilities").json()["reason"]
    assert len(excerpt_audio(client)[0]) == 6 * MINED_RATE
    with pytest.raises(DataError, match="does not exist"):
        Session(ReviewSettings(folder, (folder / "nowhere",)))


def test_the_catalogue_remembers_where_the_library_is(folder, library):
    with review_transaction(folder) as database:
        remember_folders(database, [library])
        folders = LibraryFolders.of(database)
    assert folders.path_of(HOSTILE) == library / HOSTILE.removeprefix("library/")
    assert folders.path_of("library/gone.wav") is None
    assert folders.path_of("elsewhere/b.wav") is None


def test_a_tone_is_bright_in_its_band_alone():
    from librosa import mel_frequencies

    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100).astype(np.float32)
    levels = spectrogram(tone, 44100).astype(int)
    loudest = levels[levels.shape[0] // 2].argmax()
    assert abs(mel_frequencies(BANDS + 2, fmax=8000)[1 + loudest] - 1000) < 60
    assert levels[5:-5, loudest].min() - levels[5:-5, -1].max() > 255 * 60 / 140  # 60 dB above the top band
    assert spectrogram(np.zeros(100, dtype=np.float32), 8000).max() == 0


# --- the list --------------------------------------------------------------------------------------------------------


def test_pages_give_every_excerpt_once_in_every_order(tmp_path, mine, monkeypatch):
    monkeypatch.setattr("remix_miner.review.listing.PAGE_ROWS", 7)
    mine(tmp_path, {f"{number}.mp3": {"drums": [5.0 + number % 3, 6.0]} for number in range(20)}).close()
    with CatalogueView.read(tmp_path) as catalogue:
        for order in ("scan", "doubtful", "long", "mixed"):
            found, after = [], None
            while True:
                page = list_page(catalogue.database, Filter(order=order), after)
                found += [row["id"] for row in page["rows"]]
                if (after := page["after"]) is None:
                    break
                after = tuple(after)
            assert sorted(found) == list(range(1, 41)), order
        lengths = list_page(catalogue.database, Filter(order="long"), None)["rows"]
        assert [row["seconds"] for row in lengths] == [7.0] * 6 + [6.0]


def test_filters_select_and_count(client, folder):
    def count(query: str) -> int:
        listed = len(get(client, f"api/excerpts?{query}").json()["rows"])
        assert get(client, f"api/count?{query}").json()["excerpts"] == listed
        return listed

    assert count("") == 4
    assert count("source=drums") == 2
    assert count("min_seconds=7&max_seconds=8") == 2
    assert count("track=B.WAV") == 2
    assert count("track=%25") == 0  # no wildcard
    assert count("min_probability=0.98") == 0
    assert count("review=done") == 0
    client.post(f"/{TOKEN}/api/items/e1/decision", json={"decision": "unsure"})
    assert (count("review=done"), count("review=unsure"), count("review=open")) == (1, 1, 3)
    for query in ("source=guitar", "review=x", "order=x", "min_seconds=x"):
        assert get(client, f"api/excerpts?{query}").status_code == 400
    with CatalogueView.read(folder) as catalogue:
        assert count_listed(catalogue.database, Filter())["seconds"] == 30.0


# --- decisions -------------------------------------------------------------------------------------------------------


def test_a_decision_is_in_the_catalogue_when_the_answer_comes(client, folder):
    response = client.post(f"/{TOKEN}/api/items/e2/decision", json={"decision": "rejected", "stretch": [1.0, 1.5]})
    assert response.json() == {"key": "e2", "review": "rejected"}
    database = sqlite3.connect(folder / "catalogue.sqlite")
    row = database.execute(
        "SELECT excerpt_id, decision, wrong_start_seconds, wrong_end_seconds, reviewer FROM reviews"
    ).fetchone()
    assert row == (2, "rejected", 11.0, 11.5, "ada")
    assert get(client, "api/items/e2").json()["history"][0]["stretch"] == [1.0, 1.5]
    assert get(client, "api/overview").json()["sources"]["drums"]["seconds"] == 6.0 + 5.5
    assert client.post(f"/{TOKEN}/api/undo", json={}).json() == {"key": "e2"}
    assert client.post(f"/{TOKEN}/api/undo", json={}).json() == {"key": None}
    assert get(client, "api/items/e2").json()["review"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "maybe"},
        {},
        {"decision": "rejected", "stretch": [5, 60]},
        {"decision": "rejected", "stretch": [-3, 1]},
        {"decision": "rejected", "stretch": "all"},
        {"decision": "accepted", "stretch": [1, 2]},
    ],
)
def test_decisions_that_make_no_sense_are_refused_and_change_nothing(client, folder, body):
    assert client.post(f"/{TOKEN}/api/items/e1/decision", json=body).status_code == 400
    assert get(client, "api/overview").json()["reviews"] == {}


def test_bodies_that_are_not_json_objects_are_refused(client):
    for body in ("", "[]", "{", "x" * 20_000, json.dumps("rejected")):
        response = client.post(
            f"/{TOKEN}/api/items/e1/decision", content=body, headers={"content-type": "application/json"}
        )
        assert response.status_code == 400, body[:20]


def test_totals_follow_decisions_as_the_catalogue_counts_them(folder):
    session = Session(ReviewSettings(folder))
    for key, decision, stretch in (
        ("e1", "rejected", None), ("e2", "rejected", (1.0, 1.5)), ("e3", "accepted", None), ("e1", "accepted", None),
        ("e4", "rejected", None), ("e4", "rejected", (0.0, 3.9)),
    ):  # fmt: skip
        session.decide(key, decision, stretch)
        with CatalogueView.read(folder) as catalogue:
            counted = catalogue.harvest()
        shown = session.overview()["sources"]
        for source in ("drums", "bass", "vocals"):
            expected = counted.get(source, {"excerpts": 0, "seconds": 0.0})
            assert shown[source] == {name: pytest.approx(expected[name]) for name in ("excerpts", "seconds")}
    session.undo()
    assert session.overview()["reviews"] == {"accepted": 2, "rejected": 2}


def test_the_reviewer_has_a_name(folder):
    assert Session(ReviewSettings(folder)).reviewer
    with pytest.raises(UsageError):
        Filter(source="guitar")


# --- without a server ------------------------------------------------------------------------------------------------


def test_a_static_page_holds_sound_and_pictures_and_asks_for_nothing(folder, tmp_path, capsys):
    import base64
    import re

    from remix_miner.cli import main

    page = tmp_path / "out.html"
    with pytest.raises(SystemExit) as status:
        main(["inspect", str(folder), "--page", str(page), "--samples", "2"])
    assert status.value.code == 0
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;&#34;&#39;.wav" in text
    addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(addresses) == 8
    assert all(address.startswith("data:") for address in addresses)
    lengths = []
    for address in addresses:
        kind, content = address.removeprefix("data:").split(";base64,")
        if kind == "audio/mpeg":
            audio, rate = soundfile.read(io.BytesIO(base64.b64decode(content)))
            lengths.append(round(len(audio) / rate))
        else:
            assert base64.b64decode(content).startswith(b"\x89PNG")
    assert sorted(lengths) == [6, 7, 8, 9]


def test_stored_probabilities_are_shown_without_the_detector(folder, library):
    from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
    from remix_miner.mined.probability_codes import encode

    probabilities = np.linspace(0.1, 0.9, 4)[:, None].repeat(900, axis=1).astype(np.float32)
    valid = np.arange(900) != 200
    with ProbabilityStore(folder) as store:
        store.write([StoredTrack(HOSTILE, "0" * 64, 1, 1, 1, 1, encode(probabilities, valid))])
    session = Session(ReviewSettings(folder, (library,)))
    client = TestClient(review_app(session, TOKEN, ["127.0.0.1"]), base_url="http://127.0.0.1")
    found = get(client, "api/items/e2/probabilities").json()  # 10 to 17 s, so shown from 0 to 27 s
    assert (found["first_seconds"], found["item_start_seconds"]) == (0.0, 10.0)
    assert {len(values) for values in found["sources"].values()} == {int(27 / 0.064) + 1}
    assert found["sources"]["drums"][0] == pytest.approx(0.1, abs=0.01)
    assert found["sources"]["vocals"][0] == pytest.approx(0.9, abs=0.01)
    assert found["sources"]["bass"][200] is None
