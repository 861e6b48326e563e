"""What people call the things that tags and genres have names for, as plain data.

Nothing here depends on one model: of the words of a row, those count that the model's tags or the
library's genres know.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """Words for one thing.

    Attributes
    ----------
    words : tuple of str
        They mean the same: any of them is matched to all of them that are known as tag or genre.
    near : tuple of str
        What stands in where none of `words` is known. Empty where nothing does: a guitar is no
        piano.
    """

    words: tuple[str, ...]
    near: tuple[str, ...] = ()


def _row(words: str, near: str = "") -> Concept:
    return Concept(_split_list(words), _split_list(near))


def _split_list(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(",") if word.strip())


MOODS = (
    _row(
        "calm, calming, relaxing, relaxed, relax, peaceful, soothing, tranquil, serene, gentle, "
        "soft, sleepy, sleep, restful, tender",
        "mellow, chillout, chill, ambient, easy listening, new age",
    ),
    _row("lullaby, lullabies, cradle song", "calm, mellow"),
    _row("mellow, laid back, laidback, smooth", "chill, chillout, easy listening"),
    _row("chill, chillout, chill out, chilled, downtempo, lounge, lofi, lo fi", "mellow, ambient"),
    _row("meditation, meditative, meditating, spa, yoga, new age", "ambient, chillout"),
    _row(
        "sad, sadness, melancholy, melancholic, gloomy, sorrowful, mournful, heartbroken, "
        "heartbreak, depressing, depressed, tearful, lonely, blue mood",
    ),
    _row(
        "happy, happiness, cheerful, joyful, joyous, merry, feel good, uplifting, positive, "
        "upbeat, sunny, fun",
    ),
    _row(
        "angry, anger, aggressive, furious, rage, raging, brutal, violent, heavy, hard",
        "metal, heavy metal, hard rock, punk",
    ),
    _row(
        "energetic, energy, high energy, powerful, driving, workout, running, gym, sport",
        "party, dance, electro, punk",
    ),
    _row("scary, creepy, spooky, horror, sinister, ominous, eerie"),
    _row("dark, gloom, gothic, goth"),
    _row("epic, heroic, dramatic, cinematic, film score, film music, movie, soundtrack, score"),
    _row("beautiful, pretty, lovely, gorgeous"),
    _row("romantic, love, love song, ballad, wedding", "beautiful, soul, easy listening"),
    _row("sexy, sensual, seductive"),
    _row("party, partying, celebration, festive"),
    _row("catchy, hooky, earworm"),
    _row("atmospheric, ambient, drone, spacey, ethereal, dreamy, floating"),
    _row("experimental, avant garde, weird, strange, noise"),
    _row("easy listening, background, dinner, cafe, restaurant"),
    _row("old, oldies, golden oldies", "60s, 70s"),
)
VOICES = (
    _row(
        "female vocalists, female vocalist, female vocals, female voice, female singer, female, "
        "female singing, woman, women, woman singing, women singing, woman's voice, girl, "
        "sung by a woman"
    ),
    _row(
        "male vocalists, male vocalist, male vocals, male voice, male singer, male, male singing, "
        "man, men, man singing, man's voice, sung by a man"
    ),
    _row(
        "vocals, voice, singing, singer, sung, vocalist, lyrics, with vocals",
        "female vocalists, male vocalists",
    ),
    _row(
        "instrumental, no vocals, no voice, no singing, no singer, no vocalist, no lyrics, "
        "no words, no voices, karaoke, voiceless"
    ),
    _row("choir, choral, chorus, chant, a cappella, acapella"),
    _row("rap, rapping, rapper, hip hop, mc"),
)
INSTRUMENTS = (
    _row("piano, pianist, grand piano, solo piano"),
    _row("electric piano, rhodes, keyboard, keys", "synthesizer"),
    _row("organ, hammond, church organ, pipe organ"),
    _row("guitar, guitars, guitarist"),
    _row("acoustic guitar, classical guitar, spanish guitar, fingerpicking", "acoustic, guitar"),
    _row("electric guitar, distorted guitar, guitar solo, riff", "guitar"),
    _row("acoustic, unplugged"),
    _row("bass, bassist, bass guitar, bassline"),
    _row("drums, drum kit, drummer, percussion, drumming"),
    _row("drum machine, beats, 808"),
    _row("synthesizer, synth, synthesiser, synthwave, synthpop, synth pop", "electronic, electro"),
    _row("strings, string section, string orchestra, string quartet"),
    _row("violin, fiddle, violinist, viola"),
    _row("cello, cellist"),
    _row("brass, brass instrument, horns, trombone, tuba, trumpet"),
    _row("saxophone, sax"),
    _row("woodwind, flute, clarinet, oboe, recorder, whistle"),
    _row("xylophone, marimba, vibraphone, glockenspiel, music box, bells"),
    _row("harp, harpist"),
    _row("harmonica, mouth organ"),
    _row("accordion, bandoneon, squeezebox"),
)
STYLES = (
    _row(
        "classical, classic music, classique, baroque, orchestral, orchestra, symphony, "
        "symphonic, chamber music"
    ),
    _row("opera, operatic, aria"),
    _row("video game, game, game music, games, videogame, vgm, chiptune, 8bit, 8 bit"),
    _row("rock, rocky, rock and roll, rock n roll"),
    _row("pop, poppy, chart, charts"),
    _row("hard rock, heavy rock"),
    _row(
        "metal, heavy metal, death metal, black metal, thrash metal, thrash, doom metal, metalcore",
        "hard rock",
    ),
    _row("punk, punk rock, hardcore, hardcore punk, pop punk"),
    _row("progressive rock, prog, prog rock, progressive"),
    _row("alternative, alt, grunge", "alternative rock"),
    _row("alternative rock, alt rock"),
    _row("indie, independent, indie rock, indie pop, shoegaze"),
    _row("folk, folky, singer songwriter, traditional, celtic, irish", "acoustic"),
    _row("country, western, americana, honky tonk, bluegrass"),
    _row("blues, bluesy"),
    _row("jazz, jazzy, swing, bebop, big band, bossa nova"),
    _row("soul, motown, neo soul, gospel"),
    _row("funk, funky, groovy, groove"),
    _row("rnb, r&b, r'n'b, r n b, rhythm and blues"),
    _row("reggae, dub, ska, dancehall"),
    _row("latin, latin america, salsa, samba, tango, cumbia, flamenco"),
    _row("dance, danceable, dancing, edm, club, clubbing, disco, eurodance", "party, house"),
    _row("electronic, electronica, electro, idm"),
    _row("house, deep house", "dance, electronic"),
    _row("techno, trance, rave, goa, psytrance", "electronic, electronica, house, dance"),
    _row("drum and bass, drum n bass, dnb, jungle, breakbeat, dubstep", "electronic, electronica"),
)
CONCEPTS = (MOODS, VOICES, INSTRUMENTS, STYLES)
"""All concepts, by kind."""

MEASURES: dict[str, tuple[str, str]] = {
    "fast": ("tempo_bpm", "high"),
    "quick": ("tempo_bpm", "high"),
    "uptempo": ("tempo_bpm", "high"),
    "up tempo": ("tempo_bpm", "high"),
    "slow": ("tempo_bpm", "low"),
    "slowly": ("tempo_bpm", "low"),
    "loud": ("loudness_lufs", "high"),
    "quiet": ("loudness_lufs", "low"),
}
"""Words for what is measured rather than tagged: the field of a track, and which end of it."""

DECADES = {
    "fifties": 1950,
    "sixties": 1960,
    "seventies": 1970,
    "eighties": 1980,
    "nineties": 1990,
    "noughties": 2000,
}

NEGATIONS = frozenset(
    {"no", "not", "without", "never", "non", "minus", "except", "isnt", "less", "fewer"}
)
"""The next word is one to keep away from; so is one with a minus sign before it."""

FILLERS = frozenset(
    _split_list(
        "a, an, any, anything, are, at, be, best, bit, by, feel, feeling, find, for, from, "
        "give, good, great, i, in, is, it, its, kind, kinds, like, little, me, mood, more, "
        "most, much, music, my, need, nice, of, on, play, please, quite, rather, really, show, "
        "some, something, song, songs, sort, sound, sounding, sounds, style, styled, that, "
        "the, this, to, track, tracks, tune, tunes, type, very, vibe, vibes, want, we"
    )
)
"""They say nothing about the music."""

JOINTS = frozenset({"and", "with", "but", "plus", "yet", "also"})
"""They part two words, as a comma does."""
