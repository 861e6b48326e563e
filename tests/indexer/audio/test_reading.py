from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soxr

from indexer.audio import decoding
from indexer.audio.container import AudioFacts, open_file
from indexer.audio.decoding import make_reader
from indexer.audio.downmix import channel_rows, downmix
from indexer.audio.mp4_samples import read_samples
from indexer.audio.ogg_pages import scan_pages
from indexer.audio.opening import read_packets
from indexer.audio.reading import open_track, read_facts, read_windows
from indexer.audio.seek_tables import PageTable
from indexer.audio.windows import Windows
from tests import sounds
from tests.shared_data import CLIPS

# The sample is what seeking must hit; FFmpeg's AAC encoder puts noise where it may (PNS), and the
# decoder makes other noise when entered elsewhere.
OPTIONS = {".m4a": {"aac_pns": "0"}, ".aac": {"aac_pns": "0"}}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("library")
    waveform = sounds.music(24)
    return {
        suffix: sounds.write_audio(folder / f"track{suffix}", waveform, options=OPTIONS.get(suffix))
        for suffix in sounds.SUFFIXES
    }


def stream(path: Path) -> list[tuple[float, np.ndarray]]:
    with open_track(path) as track:
        return [(start, waveforms[16_000]) for start, waveforms in track.stream()]


def decoded_whole(path: Path, *, rate: int = 16_000) -> np.ndarray:
    """All of a file at a rate, decoded from its beginning and resampled at once."""
    with open_file(path) as file:
        samples = make_reader(file)
        pieces, at = [], 0
        while True:
            piece, decoded = samples.read(at, at + 10 * samples.rate)
            at += len(piece)
            pieces.append(piece[:decoded] if samples.length is None else piece)
            if decoded < len(piece) and (samples.length is None or at >= samples.length):
                break
        whole = np.concatenate(pieces)[: samples.length]
        return soxr.resample(whole, samples.rate, rate, quality="HQ")


def largest_error(windows: Windows, whole: np.ndarray, *, rate: int = 16_000) -> float:
    """RMS of the difference, relative to the sound's, of the worst window."""
    worst = 0.0
    for start, waveform in zip(windows.starts_s, windows.waveforms[rate], strict=True):
        at = round(start * rate)
        expected = np.zeros(3 * rate)
        expected[: len(whole[at : at + 3 * rate])] = whole[at : at + 3 * rate]
        error = np.sqrt(np.mean((waveform - expected) ** 2) / np.mean(expected**2))
        worst = max(worst, float(error))
    return worst


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_windows_are_the_same_as_in_a_whole_decode(library: dict[str, Path], suffix: str) -> None:
    """Two are reached by seeking, seven are cut from one straight decode."""
    whole = decoded_whole(library[suffix])
    for count in (2, 7):
        windows = read_windows(library[suffix], count=count)
        assert windows.waveforms[16_000].shape == (count, 48_000)
        assert windows.waveforms[16_000].dtype == np.float32
        assert largest_error(windows, whole) < 1e-3


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_a_stretch_has_the_same_bits_whether_entered_or_kept(
    library: dict[str, Path], suffix: str
) -> None:
    with open_file(library[suffix]) as file:
        entered, kept = make_reader(file), make_reader(file)
        rate = kept.rate
        kept.keep(25 * rate)
        stretches = [kept.read(second * rate, (second + 3) * rate) for second in (14, 0, 22, 7)]
        for second, (samples, decoded) in zip((14, 0, 22, 7), stretches, strict=True):
            again, as_many = entered.read(second * rate, (second + 3) * rate)
            assert decoded == as_many
            # The decoder of MP2 rounds to 16 bits and carries the error over from sample to sample.
            np.testing.assert_allclose(samples, again, rtol=0, atol=2**-15 * (suffix == ".mp2"))


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wma"])
def test_no_more_is_decoded_than_the_track_or_what_the_windows_need(
    library: dict[str, Path], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = 0

    def count_frame(frame: av.AudioFrame) -> object:
        nonlocal decoded
        decoded += frame.samples
        return channel_rows(frame)

    monkeypatch.setattr(decoding, "channel_rows", count_frame)
    facts = read_windows(library[suffix], count=7).facts
    assert decoded / facts.sample_rate == pytest.approx(24, abs=0.2)
    decoded = 0
    stream(library[suffix])
    assert decoded / facts.sample_rate == pytest.approx(24, abs=0.2)
    if suffix != ".wma":
        decoded = 0
        read_windows(library[suffix], count=1)
        assert decoded / facts.sample_rate < 14


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_decoding_is_right_by_ffmpegs_own_account(library: dict[str, Path], suffix: str) -> None:
    with av.open(str(library[suffix])) as container:
        context = container.streams.audio[0].codec_context
        context.flags2 |= av.codec.context.Flags2.skip_manual
        pieces = [downmix(frame) for frame in container.decode(audio=0)]
        rate = context.sample_rate
    expected = soxr.resample(np.concatenate(pieces), rate, 16_000, quality="HQ")
    assert largest_error(read_windows(library[suffix], count=4), expected) < 1e-3


@pytest.mark.parametrize("sample_rate", [11_025, 22_050, 32_000, 44_100, 48_000])
def test_windows_at_two_rates_are_the_same_sound(tmp_path: Path, sample_rate: int) -> None:
    waveform = sounds.music(20, sample_rate=sample_rate)
    path = sounds.write_audio(tmp_path / "a.flac", waveform, sample_rate=sample_rate)
    with open_track(path, sample_rates=(16_000, 32_000)) as track:
        windows = track.windows(4)
        streamed = list(track.stream())
    assert (
        windows.waveforms[16_000].tobytes()
        == read_windows(path, count=4).waveforms[16_000].tobytes()
    )
    assert windows.waveforms[32_000].shape == (4, 96_000)
    whole = decoded_whole(path, rate=32_000)
    assert largest_error(windows, whole, rate=32_000) < 1e-3
    for (start, waveforms), (single, alone) in zip(streamed, stream(path), strict=True):
        assert start == single
        np.testing.assert_array_equal(waveforms[16_000], alone)
        at = round(start * 32_000)
        np.testing.assert_allclose(waveforms[32_000], whole[at : at + 96_000], atol=1e-3)


def test_less_than_a_window_is_repeated_at_each_rate(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.flac", sounds.music(2))
    windows = read_windows(path, sample_rates=(16_000, 32_000))
    one, other = (windows.waveforms[rate][0] for rate in (16_000, 32_000))
    assert (len(one), len(other)) == (48_000, 96_000)
    assert one.tobytes() == read_windows(path).waveforms[16_000].tobytes()
    halved = soxr.resample(other, 32_000, 16_000, quality="HQ")[1_000:20_000]
    assert np.corrcoef(one[1_000:20_000], halved)[0, 1] > 0.999


def test_noise_of_aac_differs_only_a_little(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.m4a", sounds.music(24))
    assert largest_error(read_windows(path, count=4), decoded_whole(path)) < 0.1


@pytest.mark.parametrize("bit_rate", [32_000, 320_000])
@pytest.mark.parametrize("sample_rate", [22_050, 44_100])
def test_mp3_of_low_and_high_rate(tmp_path: Path, bit_rate: int, sample_rate: int) -> None:
    path = sounds.write_audio(
        tmp_path / "a.mp3",
        sounds.music(15, sample_rate=sample_rate),
        sample_rate=sample_rate,
        bit_rate=min(bit_rate, 160_000 if sample_rate == 22_050 else bit_rate),
    )
    assert largest_error(read_windows(path), decoded_whole(path)) < 1e-3


def test_mp3_of_variable_bit_rate_without_a_table(tmp_path: Path) -> None:
    path = sounds.write_audio(
        tmp_path / "a.mp3", sounds.music(15), options={"flags": "+qscale", "global_quality": "472"}
    )
    with open_file(path) as file:
        assert file.frames is not None
        first = file.frames.offsets[0]
        assert len(set(np.diff(file.frames.offsets))) > 3
    bare = tmp_path / "bare.mp3"
    bare.write_bytes(path.read_bytes()[first:])
    assert read_facts(bare).audio_hash == read_facts(path).audio_hash
    assert largest_error(read_windows(bare), decoded_whole(path)) < 1e-3


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav", ".wma"])
def test_streaming_gives_all_windows_of_the_track(library: dict[str, Path], suffix: str) -> None:
    pairs = stream(library[suffix])
    assert len(pairs) in {7, 8}
    starts = np.array([start for start, _ in pairs])
    np.testing.assert_allclose(np.diff(starts), 3.0, atol=1e-9)
    facts = read_facts(library[suffix])
    streamed = Windows(facts, {16_000: np.stack([waveform for _, waveform in pairs])}, starts)
    assert largest_error(streamed, decoded_whole(library[suffix])) < 1e-3


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_reading_twice_gives_the_same_bits(library: dict[str, Path], suffix: str) -> None:
    first, second = read_windows(library[suffix]), read_windows(library[suffix])
    assert first.waveforms[16_000].tobytes() == second.waveforms[16_000].tobytes()
    assert first.facts == second.facts


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_facts(library: dict[str, Path], suffix: str) -> None:
    facts = read_facts(library[suffix])
    assert facts.duration_s == pytest.approx(24, abs=0.15)
    assert facts.channels == 2
    assert facts.sample_rate == (48_000 if facts.codec == "opus" else 44_100)
    assert len(facts.audio_hash) == 32
    size = library[suffix].stat().st_size
    assert facts.bit_rate == pytest.approx(size * 8 / 24, rel=0.1)


def test_every_format_has_its_own_hash(library: dict[str, Path]) -> None:
    opus = {".opus", ".mka", ".webm"}
    hashes = {read_facts(path).audio_hash for name, path in library.items() if name not in opus}
    assert len(hashes) == len(library) - len(opus)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav", ".mka"])
def test_tags_do_not_change_the_hash(tmp_path: Path, suffix: str) -> None:
    plain = sounds.write_audio(tmp_path / f"plain{suffix}", sounds.music(5))
    tagged = sounds.write_audio(
        tmp_path / f"tagged{suffix}",
        sounds.music(5),
        tags={"title": "A title " * 40, "artist": "Somebody", "album": "Some album"},
    )
    assert plain.read_bytes() != tagged.read_bytes()
    assert read_facts(plain).audio_hash == read_facts(tagged).audio_hash


def test_tags_around_mp3_do_not_change_the_hash(tmp_path: Path) -> None:
    plain = sounds.write_audio(tmp_path / "plain.mp3", sounds.music(5))
    frames = plain.read_bytes()
    art = b"\0image/jpeg\0\3\0" + b"\xff\xfb\x90\x00" * 5_000
    before = sounds.id3v2({"TIT2": b"\0A title", "APIC": art})
    after = sounds.apev2({"Title": b"Another"}) + sounds.id3v1(title=b"A third", genre=17)
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(before + frames + after)
    assert read_facts(tagged) == read_facts(plain)


def test_other_sound_changes_the_hash(tmp_path: Path) -> None:
    one = sounds.write_audio(tmp_path / "1.flac", sounds.music(5, seed=1))
    two = sounds.write_audio(tmp_path / "2.flac", sounds.music(5, seed=2))
    assert read_facts(one).audio_hash != read_facts(two).audio_hash


def test_frames_of_mp3_are_the_packets_of_ffmpeg(library: dict[str, Path]) -> None:
    for suffix in (".mp3", ".mp2"):
        with av.open(str(library[suffix])) as container:
            packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
        with open_file(library[suffix]) as file:
            assert file.frames is not None
            assert len(file.frames.offsets) == len(packets)
            assert file.frames.payload_bytes == sum(map(len, packets))
            data = library[suffix].read_bytes()
            first = file.frames.offsets[0]
            assert data[first : first + len(packets[0])] == packets[0]


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_pages_of_ogg_hold_the_packets_of_ffmpeg(library: dict[str, Path], suffix: str) -> None:
    digest = hashlib.sha256()
    with open_file(library[suffix]) as file:
        assert isinstance(file.packets, PageTable)
        pages = scan_pages(file.descriptor, file.parts[0], file.facts.codec, digest.update)
        file.reopen()
        packets = list(read_packets(file.container, file.descriptor))
    assert pages is not None
    assert digest.digest() == hashlib.sha256(b"".join(map(bytes, packets))).digest()
    assert pages.payload_bytes == sum(packet.size for packet in packets)
    assert {packet.pos for packet in packets} == set(pages.offsets)
    assert all(file.packets.holds(packet) for packet in packets)
    last = packets[-1]
    assert pages.ends[-1] == last.pts + last.duration
    assert file.packets.origin == packets[0].pts


@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_samples_of_mp4_are_the_packets_of_ffmpeg(tmp_path: Path, codec: str) -> None:
    path = sounds.write_audio(tmp_path / "a.m4a", sounds.music(8), codec=codec)
    fed = bytearray()
    with open_file(path) as file:
        stream = file.container.streams.audio[0]
        samples = read_samples(file.descriptor, file.parts[0], stream.id)
        assert samples is not None
        samples.feed(file.descriptor, file.parts[0], fed.extend)
        file.reopen()
        packets = list(read_packets(file.container, file.descriptor))
    assert fed == b"".join(map(bytes, packets))
    assert samples.offsets.tolist() == [packet.pos for packet in packets]
    assert samples.sizes.tolist() == [packet.size for packet in packets]
    assert (samples.times + packets[0].pts).tolist() == [packet.pts for packet in packets]


def test_a_fragmented_mp4_is_the_same_track(library: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "fragments.m4a"
    with (
        av.open(str(library[".m4a"])) as whole,
        av.open(str(path), "w", format="mp4", options={"movflags": "empty_moov"}) as fragments,
    ):
        stream = fragments.add_stream_from_template(whole.streams.audio[0])
        for packet in whole.demux(audio=0):
            if packet.size:
                packet.stream = stream
                fragments.mux(packet)
    assert read_facts(path).audio_hash == read_facts(library[".m4a"]).audio_hash
    assert largest_error(read_windows(path), decoded_whole(path)) < 1e-3


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_any_sample_rate_becomes_16_khz(tmp_path: Path, sample_rate: int) -> None:
    time = np.arange(5 * sample_rate) / sample_rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    path = sounds.write_float_wav(
        tmp_path / "a.wav", tone[None].astype(np.float32), sample_rate=sample_rate
    )
    windows = read_windows(path)
    assert windows.facts.sample_rate == sample_rate
    spectrum = np.abs(np.fft.rfft(windows.waveforms[16_000][0] * np.hanning(48_000)))
    assert spectrum.argmax() == 3_000
    assert np.abs(windows.waveforms[16_000][0]).max() == pytest.approx(0.5, abs=0.01)
    assert largest_error(windows, decoded_whole(path)) < 1e-3


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    waveform = np.zeros((channels, 5 * 16_000), np.float32)
    waveform[-1] = 0.8 * sounds.music(5, sample_rate=16_000, channels=1)[0]
    path = sounds.write_float_wav(tmp_path / "a.wav", waveform, sample_rate=16_000)
    windows = read_windows(path)
    at = round(windows.starts_s[0] * 16_000)
    expected = waveform[-1, at : at + 48_000] / channels
    np.testing.assert_allclose(windows.waveforms[16_000][0], expected, atol=1e-6)
    assert windows.facts.channels == channels


@pytest.mark.parametrize(
    ("codec", "precision"),
    [
        ("pcm_u8", 2**-7),
        ("pcm_s16le", 2**-14),
        ("pcm_s24le", 2**-22),
        ("pcm_s32le", 2**-22),
        ("pcm_f32le", 2**-22),
        ("pcm_f64le", 2**-22),
    ],
)
def test_every_sample_format_has_the_same_scale(
    tmp_path: Path, codec: str, precision: float
) -> None:
    waveform = sounds.music(4, sample_rate=16_000)
    path = sounds.write_audio(tmp_path / "a.wav", waveform, sample_rate=16_000, codec=codec)
    windows = read_windows(path)
    at = round(windows.starts_s[0] * 16_000)
    expected = waveform.mean(axis=0)[at : at + 48_000]
    np.testing.assert_allclose(windows.waveforms[16_000][0], expected, atol=precision)


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav", "pcm_mulaw"])
def test_wav_with_a_codec_in_it(tmp_path: Path, codec: str) -> None:
    waveform = sounds.music(15, sample_rate=22_050)
    path = sounds.write_audio(tmp_path / "a.wav", waveform, sample_rate=22_050, codec=codec)
    windows = read_windows(path)
    assert len(windows.starts_s) >= 4
    at = round(windows.starts_s[-2] * 22_050)
    sound = waveform.mean(axis=0)[at : at + 3 * 22_050]
    expected = soxr.resample(sound, 22_050, 16_000, quality="HQ")
    assert np.corrcoef(windows.waveforms[16_000][-2], expected)[0, 1] > 0.97
    assert largest_error(windows, decoded_whole(path)) < 1e-3


def test_silence_at_both_ends_is_left_out(tmp_path: Path) -> None:
    waveform = sounds.music(20)
    padded = np.pad(waveform, ((0, 0), (70 * 44_100, 80 * 44_100)))
    windows = read_windows(sounds.write_audio(tmp_path / "a.flac", padded))
    assert len(windows.starts_s) == 6
    assert windows.starts_s.min() >= 69.9
    assert windows.starts_s.max() + 3 <= 90.1


def test_silence_inside_is_left_out(tmp_path: Path) -> None:
    part = sounds.music(12)
    pause = np.zeros((2, 90 * 44_100), np.float32)
    path = sounds.write_audio(tmp_path / "a.flac", np.concatenate([part, pause, part], axis=1))
    windows = read_windows(path)
    assert len(windows.starts_s) == 8
    assert np.abs(windows.waveforms[16_000]).max(axis=1).min() > 0.1
    assert not ((windows.starts_s > 9.1) & (windows.starts_s < 102)).any()


def test_windows_do_not_overlap_and_lie_in_order(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.wav", sounds.music(10))
    windows = read_windows(path)
    assert len(windows.starts_s) == 3
    assert (np.diff(windows.starts_s) >= 3).all()


def test_less_than_a_window_is_repeated(tmp_path: Path) -> None:
    waveform = sounds.music(2, sample_rate=16_000)
    path = sounds.write_float_wav(tmp_path / "a.wav", waveform, sample_rate=16_000)
    windows = read_windows(path)
    assert windows.waveforms[16_000].shape == (1, 48_000)
    length = round(2 * 16_000 - windows.starts_s[0] * 16_000)
    np.testing.assert_allclose(
        windows.waveforms[16_000][0, length:48_000],
        windows.waveforms[16_000][0, : 48_000 - length],
        atol=1e-6,
    )
    assert len(stream(path)) == 1


def test_a_stream_of_frames_is_entered_without_decoding_it_all(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.mp3", sounds.music(20))
    with open_file(path) as file:
        samples = make_reader(file)
        far, decoded = samples.read(19 * 44_100, 19 * 44_100 + 1000)
        assert decoded == 1000
        near, _ = samples.read(0, 1000)
        again, _ = samples.read(19 * 44_100, 19 * 44_100 + 1000)
    assert np.abs(far).max() > 0.01
    np.testing.assert_array_equal(far, again)
    assert not np.array_equal(near, far)


def test_a_track_stays_open_for_facts_then_windows(library: dict[str, Path]) -> None:
    with open_track(library[".opus"]) as track:
        assert isinstance(track.facts, AudioFacts)
        assert len(track.windows(5).starts_s) == 5
        assert len(track.windows(2).starts_s) == 2
        with pytest.raises(ValueError, match="count"):
            track.windows(0)


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    minute = sounds.write_audio(tmp_path / "short.mp3", sounds.music(60), bit_rate=128_000)
    frames = minute.read_bytes()
    hour = tmp_path / "long.mp3"
    with hour.open("wb") as file:
        for _ in range(60):
            file.write(frames)
    short, long = _peak_megabytes(minute), _peak_megabytes(hour)
    assert long - short < 20


def _peak_megabytes(path: Path) -> float:
    # Not ru_maxrss, which begins with what the process that started this one holds.
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from indexer.audio.reading import open_track\n"
        "with open_track(sys.argv[1]) as track:\n"
        "    track.windows(12)\n"
        "    assert sum(1 for _, _ in zip(range(300), track.stream())) in (20, 300)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, check=True, text=True
    )
    return float(done.stdout) / 1024


def test_real_music_is_entered_at_the_right_sample() -> None:
    clips = sorted(CLIPS.glob("*/*.opus"))[::80]
    if not clips:
        pytest.skip("no ../shared/music/clips beside this checkout")
    for clip in clips:
        assert largest_error(read_windows(clip, count=3), decoded_whole(clip)) < 1e-3
