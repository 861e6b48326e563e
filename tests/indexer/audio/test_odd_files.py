"""Files as people have them, none of which players refuse: read, and with the right facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import soxr

from indexer.audio.container import open_file
from indexer.audio.reading import open_track, read_facts, read_windows
from indexer.audio.windows import Windows
from indexer.errors import AnalysisError, BadSampleRate, Silent, UnknownCodec
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ID3V2 = sounds.id3v2(
    {"TIT2": b"\0A title", "APIC": b"\0image/jpeg\0\3\0" + b"\xff\xfb\x90\x00" * 99}
)
ID3V1 = sounds.id3v1(title=b"Another", genre=17)
APE = sounds.apev2({"Title": b"A third" * 20})
IN_FRONT = {"ID3v2": ID3V2, "ID3v2 twice": ID3V2 * 2, "APEv2": APE, "both": ID3V2 + APE}
BEHIND = {
    "ID3v1": ID3V1,
    "APEv2": APE,
    "APE without header": APE[32:],
    "APEv2 and ID3v1": APE + ID3V1,
    "Lyrics3": sounds.lyrics3(b"La la") + ID3V1,
    "Lyrics3v1": sounds.lyrics3(b"La la", version=1) + ID3V1,
    "ID3v2.4": sounds.id3v2_with_footer({"TIT2": b"\0A fourth"}),
}


def outcome(path: Path) -> str:
    """What reading a file leads to: "read", or the reason why not."""
    try:
        windows = read_windows(path)
    except AnalysisError as error:
        return error.reason
    assert np.isfinite(windows.waveforms[16_000]).all()
    return "read"


def likeness(windows: Windows, number: int, waveform: NDArray[np.float32], rate: int) -> float:
    """Correlation of a window with the stretch of a sound (channels, samples) that it should be.

    The largest within 50 ms, as coders add a delay.
    """
    sound = np.pad(soxr.resample(waveform.mean(axis=0), rate, 16_000), 2400)
    at = round(windows.starts_s[number] * 16_000)
    near = sound[at : at + 50_400]
    products = np.correlate(near, windows.waveforms[16_000][number][:46_000], "valid")
    energy = np.linalg.norm(windows.waveforms[16_000][number][:46_000]) * np.linalg.norm(near)
    return float(products.max() / energy)


@pytest.mark.parametrize("suffix", [*sounds.SUFFIXES, *sounds.RARE_ENCODERS])
def test_tags_in_front_and_behind_change_no_facts(tmp_path: Path, suffix: str) -> None:
    # AMR has one rate, one channel and few bit rates.
    rate, channels, bit_rate = (8_000, 1, 12_200) if suffix == ".amr" else (44_100, 2, 128_000)
    waveform = sounds.music(3, sample_rate=rate, channels=channels)
    path = tmp_path / f"plain{suffix}"
    plain = sounds.write_audio(path, waveform, sample_rate=rate, bit_rate=bit_rate)
    sound, facts = plain.read_bytes(), read_facts(plain)
    tagged = tmp_path / f"tagged{suffix}"
    for kind, tag in IN_FRONT.items():
        tagged.write_bytes(tag + sound)
        assert read_facts(tagged) == facts, kind
    for kind, tag in BEHIND.items():
        tagged.write_bytes(sound + tag)
        assert read_facts(tagged) == facts, kind
    tagged.write_bytes(IN_FRONT["both"] + sound + BEHIND["Lyrics3"])
    assert (
        read_windows(tagged).waveforms[16_000].tobytes()
        == read_windows(plain).waveforms[16_000].tobytes()
    )


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".aac", ".ac3", ".wv", ".tta"])
def test_a_tag_behind_a_file_cut_short_is_no_sound(tmp_path: Path, suffix: str) -> None:
    whole = sounds.write_audio(tmp_path / f"whole{suffix}", sounds.music(4))
    cut = sounds.cut(tmp_path / f"cut{suffix}", whole, keep=0.7)
    facts = read_facts(cut)
    cut.write_bytes(cut.read_bytes() + BEHIND["APEv2 and ID3v1"])
    assert read_facts(cut) == facts


@pytest.mark.parametrize("suffix", [".mp3", ".aac", ".ac3", ".flac", ".ogg", ".opus"])
@pytest.mark.parametrize(("rate", "channels"), [(32_000, 2), (44_100, 1)])
def test_a_sound_that_goes_on_in_another_way_is_one_track(
    tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    """A jingle before a song, a chained stream: nothing of it is dropped."""
    first = sounds.write_audio(tmp_path / f"first{suffix}", sounds.music(3, seed=1))
    music = {
        seed: sounds.music(6, sample_rate=rate, channels=channels, seed=seed) for seed in (2, 3)
    }
    paths = []
    for seed, waveform in music.items():
        second = sounds.write_audio(tmp_path / f"{seed}{suffix}", waveform, sample_rate=rate)
        paths.append(sounds.concatenate(tmp_path / f"both {seed}{suffix}", first, second))
    one, other = (read_windows(path) for path in paths)
    assert one.facts.audio_hash != other.facts.audio_hash
    assert one.facts.duration_s == pytest.approx(9, abs=0.2)
    jingle = soxr.resample(sounds.music(3, seed=1).mean(axis=0), 44_100, rate)
    both = np.concatenate([jingle, music[2].mean(axis=0)])[np.newaxis]
    assert likeness(one, -1, both, rate) > 0.9
    assert one.waveforms[16_000].tobytes() == read_windows(paths[0]).waveforms[16_000].tobytes()


@pytest.mark.parametrize("suffix", [".m4a", ".alac", ".ac3", ".wma"])
def test_a_few_changed_bytes_refuse_no_file(tmp_path: Path, suffix: str) -> None:
    """Whatever FFmpeg reports for a packet is the damage of that packet."""
    name, codec = (".m4a", "alac") if suffix == ".alac" else (suffix, None)
    whole = sounds.write_audio(tmp_path / f"whole{name}", sounds.music(12), codec=codec)
    path = sounds.change_bytes(tmp_path / f"changed{name}", whole, np.linspace(0.31, 0.8, 64))
    assert len(read_windows(path).starts_s) >= 1


def test_an_empty_packet_does_not_end_an_ogg_file(tmp_path: Path) -> None:
    whole = sounds.write_audio(tmp_path / "whole.opus", sounds.music(8))
    path = sounds.add_empty_ogg_packet(tmp_path / "empty.opus", whole)
    windows = read_windows(path)
    assert len(windows.starts_s) == 2
    assert likeness(windows, 1, sounds.music(8), 44_100) > 0.9


def test_samples_that_opus_skips_are_not_in_the_duration(tmp_path: Path) -> None:
    whole = sounds.write_audio(tmp_path / "whole.opus", sounds.music(8))
    path = sounds.set_pre_skip(tmp_path / "skip.opus", whole, 48_000)
    assert read_facts(whole).duration_s == pytest.approx(8, abs=0.03)
    assert read_facts(path).duration_s == pytest.approx(7, abs=0.03)


def test_lost_pages_leave_what_lies_between_them(tmp_path: Path) -> None:
    """So many that no window is whole: it is not for that reason silent."""
    whole = sounds.write_audio(tmp_path / "whole.opus", sounds.music(24), bit_rate=24_000)
    pages = sounds.ogg_pages(whole)
    kept = [page for number, page in enumerate(pages) if number < 3 or number % 3]
    path = tmp_path / "lost.opus"
    path.write_bytes(b"".join(kept))
    windows = read_windows(path)
    assert windows.facts.duration_s == pytest.approx(24 * 2 / 3, abs=2)
    assert len(windows.starts_s) >= 4


def test_the_duration_of_laced_packets_is_that_of_their_samples(tmp_path: Path) -> None:
    mp3 = sounds.write_audio(tmp_path / "a.mp3", sounds.music(6, channels=1))
    with av.open(str(mp3)) as container:
        frames = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    path = sounds.laced_matroska(
        tmp_path / "laced.mka", frames, sample_rate=44_100, codec="A_MPEG/L3"
    )
    facts = read_windows(path).facts
    assert facts.duration_s == pytest.approx(6, abs=0.1)
    assert facts.bit_rate == pytest.approx(128_000, rel=0.05)


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ac3"])
def test_channels_that_cancel_out_are_not_silence(tmp_path: Path, suffix: str) -> None:
    sound = sounds.music(6, channels=1)
    opposed = sounds.write_audio(tmp_path / f"a{suffix}", np.concatenate([-0.9 * sound, sound]))
    with open_track(opposed) as track:
        windows = track.windows(12)
        assert windows.facts.channel == 1
        streamed = [waveforms[16_000] for _, waveforms in track.stream()]
    assert likeness(windows, 0, sound, 44_100) > 0.95
    assert (
        likeness(
            Windows(windows.facts, {16_000: np.stack(streamed)}, windows.starts_s), 0, sound, 44_100
        )
        > 0.95
    )
    unlike = np.concatenate([sound, sounds.music(6, channels=1, seed=9)])
    assert read_windows(sounds.write_audio(tmp_path / f"b{suffix}", unlike)).facts.channel is None


def test_a_constant_is_silence(tmp_path: Path) -> None:
    for number, seconds in enumerate((2, 8)):
        constant = np.full((1, 44_100 * seconds), 0.25, np.float32)
        path = sounds.write_audio(tmp_path / f"{number}.wav", constant)
        with pytest.raises(Silent):
            read_windows(path)


def test_much_that_is_no_sound_in_front_of_mp3(tmp_path: Path) -> None:
    plain = sounds.write_audio(tmp_path / "plain.mp3", sounds.music(4))
    path = tmp_path / "behind.mp3"
    path.write_bytes(np.random.default_rng(1).bytes(3 << 20) + plain.read_bytes())
    assert read_facts(path) == read_facts(plain)
    with open_file(path) as file:
        assert file.parts[0].start >= 3 << 20
    assert (
        read_windows(path).waveforms[16_000].tobytes()
        == read_windows(plain).waveforms[16_000].tobytes()
    )


def test_what_ffmpeg_cannot_decode_has_that_for_a_reason(tmp_path: Path) -> None:
    wav = sounds.write_audio(tmp_path / "a.wav", sounds.music(2))
    data = bytearray(wav.read_bytes())
    data[20:22] = b"\xcd\xab"
    wav.write_bytes(data)
    with pytest.raises(UnknownCodec, match="convert it"):
        read_facts(wav)
    mp3 = sounds.write_audio(tmp_path / "a.mp3", sounds.music(2))
    with open_file(mp3) as file:
        assert file.frames is not None
        offsets = list(file.frames.offsets)
    data = bytearray(mp3.read_bytes())
    for offset in offsets:
        data[offset + 2] &= 0x0F
    mp3.write_bytes(data[offsets[0] :])
    with pytest.raises(UnknownCodec, match="free format"):
        read_facts(mp3)


@pytest.mark.parametrize("rate", [1, 5, 3_999, 1 << 30])
def test_sample_rates_that_no_recording_has(tmp_path: Path, rate: int) -> None:
    path = sounds.write_float_wav(
        tmp_path / "a.wav", sounds.music(1, sample_rate=44_100), sample_rate=rate
    )
    with pytest.raises(BadSampleRate, match=f"{rate} Hz"):
        read_facts(path)


@pytest.mark.parametrize("bits", [0, 1, 8, 12, 48, 64, 65_535])
@pytest.mark.parametrize("kind", [1, 2, 3, 17, 0x55, 0x161])
def test_no_header_of_a_wav_is_unforeseen(tmp_path: Path, bits: int, kind: int) -> None:
    samples = (20_000 * sounds.music(3, sample_rate=8_000)).astype("<i2").T.tobytes()
    for channels, rate in ((2, 8_000), (255, 44_100), (65_535, 2**32 - 1)):
        path = sounds.claim_wav(
            tmp_path / "a.wav", samples, channels=channels, sample_rate=rate, bits=bits, kind=kind
        )
        assert outcome(path) not in ("unforeseen", "analysis failed")
