"""Downloads against a server of this test's own, over TLS as users have it."""

import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowrankgan.download import download
from lowrankgan.errors import LowRankGANError
from tests.conftest import ROOT

_CERTIFICATE = ROOT / "tests/data/tls/localhost.pem"
_WEIGHTS = b"weights" * 1000
_SHA256 = hashlib.sha256(_WEIGHTS).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://localhost/weights")
            self.end_headers()
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        longer = 5 if self.path == "/cut" else 0
        self.send_header("Content-Length", str(len(_WEIGHTS) + longer))
        self.end_headers()
        self.wfile.write(_WEIGHTS[::-1] if self.path == "/other" else _WEIGHTS)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_CERTIFICATE, _CERTIFICATE.with_suffix(".key"))
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"https://localhost:{listening.server_address[1]}"
    listening.shutdown()
    listening.server_close()


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(_CERTIFICATE))
    monkeypatch.setenv("no_proxy", "localhost")


def test_a_pinned_file_is_fetched_and_nothing_else_written(server: str, tmp_path: Path) -> None:
    download(f"{server}/weights", _SHA256, tmp_path / "w.pkl", tmp_path / "by hand")
    assert (tmp_path / "w.pkl").read_bytes() == _WEIGHTS
    assert [path.name for path in tmp_path.iterdir()] == ["w.pkl"]


def test_the_first_copy_is_recorded_and_later_ones_checked(server: str, tmp_path: Path) -> None:
    by_hand, url = tmp_path / "weights", f"{server}/weights"
    download(url, None, tmp_path / "w.pkl", by_hand)
    known = by_hand / "known_hashes.json"
    assert json.loads(known.read_text()) == {url: _SHA256}
    download(url, None, tmp_path / "w.pkl", by_hand)
    (by_hand / "w.pkl").write_bytes(b"another")
    with pytest.raises(LowRankGANError, match=rf"weights/w\.pkl: expected SHA-256 {_SHA256}, got"):
        download(url, None, tmp_path / "w.pkl", by_hand)
    assert (tmp_path / "w.pkl").read_bytes() == _WEIGHTS


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"\xef\xbb\xbf\n<!DOCTYPE html>", "a web page"),
        (b'{"error": 1}', "JSON text"),
        (b"version https://git-lfs", "a Git LFS pointer"),
    ],
)
def test_what_is_no_weights_is_not_trusted_for_good(text: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/w.pkl").write_bytes(text)
    with pytest.raises(LowRankGANError, match=rf"w\.pkl: is {what}, not a file of weights"):
        download("https://localhost:1/w", None, tmp_path / "w.pkl", tmp_path / "weights")
    assert not (tmp_path / "weights/known_hashes.json").exists()


def test_a_copy_placed_by_hand_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/w.pkl").write_bytes(_WEIGHTS)
    url = "https://localhost:1/weights"
    download(url, _SHA256, tmp_path / "w.pkl", tmp_path / "weights")
    assert (tmp_path / "w.pkl").read_bytes() == _WEIGHTS


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/gone", "Not Found"),
        ("/away", "No connection adapters"),
        ("/cut", "IncompleteRead"),
        ("/other", f"/other: expected SHA-256 {_SHA256}, got"),
    ],
)
def test_what_goes_wrong_is_one_line_and_leaves_nothing(
    server: str, tmp_path: Path, path: str, message: str
) -> None:
    with pytest.raises(LowRankGANError, match=message) as caught:
        download(server + path, _SHA256, tmp_path / "w.pkl", tmp_path / "weights")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_offline_says_where_to_place_the_file(tmp_path: Path) -> None:
    with pytest.raises(LowRankGANError, match=r"place the file by hand as weights/w\.pkl"):
        download("https://localhost:1/w", None, tmp_path / "w.pkl", Path("weights"))
