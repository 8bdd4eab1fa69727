"""Languages of the benchmarks' tasks, and what the repositories call them.

Sources: ``evaluate.py`` of google-research/xtreme at 838c13b (languages per task), the config names of google/xtreme on the hub
(languages' names and codes), XTREME-R (arXiv 2104.07412) for its additions.
"""

from __future__ import annotations

import re

#: language → name of its udpos config in google/xtreme (the last five: XTREME-R, UD 2.7, not on the hub in this form)
UD_NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "bg": "Bulgarian", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese",
    "kk": "Kazakh", "ko": "Korean", "mr": "Marathi", "nl": "Dutch", "pt": "Portuguese", "ru": "Russian",
    "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "ur": "Urdu",
    "vi": "Vietnamese", "yo": "Yoruba", "zh": "Chinese",
    "lt": "Lithuanian", "pl": "Polish", "ro": "Romanian", "uk": "Ukrainian", "wo": "Wolof",
}  # fmt: skip
#: language → ISO 639-3 code in the tatoeba configs of google/xtreme (the last five: XTREME-R, not on the hub in this form)
ISO3 = {
    "af": "afr", "ar": "ara", "bg": "bul", "bn": "ben", "de": "deu", "el": "ell", "es": "spa", "et": "est",
    "eu": "eus", "fa": "pes", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hu": "hun", "id": "ind",
    "it": "ita", "ja": "jpn", "jv": "jav", "ka": "kat", "kk": "kaz", "ko": "kor", "ml": "mal", "mr": "mar",
    "nl": "nld", "pt": "por", "ru": "rus", "sw": "swh", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl",
    "tr": "tur", "ur": "urd", "vi": "vie", "zh": "cmn",
    "az": "aze", "lt": "lit", "pl": "pol", "ro": "ron", "uk": "ukr",
}  # fmt: skip
#: language → what the ids of TyDiQA begin with: one config holds all languages
TYDIQA_NAMES = {
    "ar": "arabic", "bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian", "ko": "korean",
    "ru": "russian", "sw": "swahili", "te": "telugu",
}  # fmt: skip


def _codes(text: str) -> tuple[str, ...]:
    return tuple(sorted(text.split()))


#: task → languages that XTREME scores (XTREME-R's own tasks: what XTREME-R scores)
XTREME = {
    "xnli": _codes("ar bg de el en es fr hi ru sw th tr ur vi zh"),
    "pawsx": _codes("de en es fr ja ko zh"),
    "udpos": _codes("af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"),
    "panx": _codes("af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te "
                   "th tl tr ur vi yo zh"),
    "xquad": _codes("ar de el en es hi ru th tr vi zh"),
    "mlqa": _codes("ar de en es hi vi zh"),
    "tydiqa": _codes("ar bn en fi id ko ru sw te"),
    "bucc2018": _codes("de fr ru zh"),
    "tatoeba": _codes("af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl "
                      "tr ur vi zh"),
    "xcopa": _codes("et ht id it qu sw ta th tr vi zh"),
    "lareqa": _codes("ar de el en es hi ru th tr vi zh"),
    "mewslix": _codes("ar de en es fa ja pl ro ta tr uk"),
}  # fmt: skip
#: task → languages that XTREME-R scores beside those
XTREME_R = {
    "panx": _codes("qu pl uk az lt pa gu ro"),
    "udpos": _codes("lt pl uk wo ro"),
    "tatoeba": _codes("az lt pl uk ro"),
    "xquad": _codes("ro"),
}


_PAIR = re.compile(r"^([a-z]{2,3})-([a-z]{2,3})$")


def parts(code: str) -> tuple[str, ...]:
    """Languages that a code names: both of ``en-de`` (first text–second text) and of ``tr+de`` (within sentences); ``hi-Latn`` is one.

    Examples
    --------
    >>> parts("en-de"), parts("hi-Latn+en"), parts("hi-Latn")
    (('en', 'de'), ('hi-Latn', 'en'), ('hi-Latn',))
    """
    pair = _PAIR.match(code)
    return pair.groups() if pair else tuple(code.split("+"))


def spoken(code: str) -> tuple[str, ...]:
    """The same without their scripts: ``hi-Latn+en`` is Hindi and English."""
    return tuple(x.partition("-")[0] for x in parts(code))
