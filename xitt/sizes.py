"""Published sizes of the data sets: examples per task, split and language, after rows without a gold label are dropped.

Where a size comes from, by mark: (a) ``dataset_infos`` of huggingface/datasets at d7dfbc8, the last commit that held the scripts;
(b) the data set's own page: Mewsli-X (google-research/google-research, ``mewsli-x.md``), XCOPA (cambridgeltl/xcopa); (c) counted or
recorded by nyu-mll/jiant; (d) recalled, and confirmed by its sum: TyDiQA's languages add up to (a) exactly.
"""

from __future__ import annotations


def _each(languages: str, size: int) -> dict[str, int]:
    return dict.fromkeys(languages.split(), size)


_PANX = {
    **_each("ar bg de el en es et eu fa fi fr he hu id it ja ka ko nl pt ru th tr vi zh", 10_000),
    **_each("af bn hi kk ml mr ms sw ta te tl ur", 1_000),
    **_each("jv my yo", 100),
}
_UDPOS_DEV = {
    "af": 194, "ar": 909, "bg": 1115, "de": 19233, "el": 2559, "en": 3974, "es": 3054, "et": 3125, "eu": 1798, "fa": 599,
    "fi": 3239, "fr": 5979, "he": 484, "hi": 1659, "hu": 441, "id": 559, "it": 2278, "ja": 511, "ko": 3016, "mr": 46,
    "nl": 1394, "pt": 1770, "ru": 9960, "ta": 80, "te": 131, "tr": 988, "ur": 552, "vi": 800, "zh": 3038,
}  # fmt: skip
_UDPOS_TEST = {
    "af": 425, "ar": 1680, "bg": 1116, "de": 22458, "el": 2809, "en": 5440, "es": 3147, "et": 3760, "eu": 1799, "fa": 600,
    "fi": 4422, "fr": 9465, "he": 491, "hi": 2684, "hu": 449, "id": 1557, "it": 3518, "ja": 2372, "kk": 1047, "ko": 4276,
    "mr": 47, "nl": 1471, "pt": 2681, "ru": 11336, "ta": 120, "te": 146, "th": 1000, "tl": 55, "tr": 4785, "ur": 535,
    "vi": 800, "yo": 100, "zh": 5528,
}  # fmt: skip
_TYDIQA_TEST = {"ar": 921, "bn": 113, "en": 440, "fi": 782, "id": 565, "ko": 276, "ru": 812, "sw": 499, "te": 669}
_MEWSLIX_TEST = {
    "ar": 1501, "de": 1551, "en": 1490, "es": 1552, "fa": 458, "ja": 1519, "pl": 1562, "ro": 672, "ta": 1567, "tr": 1215,
    "uk": 1537,
}  # fmt: skip
#: task → split → examples, in every language alike (a number) or by language
PUBLISHED: dict[str, dict[str, int | dict[str, int]]] = {
    "snli": {"train": 549_367, "dev": 9_842},  # c; 550,152 and 10,000 rows before dropping (a)
    "mnli": {"train": 392_702, "dev": 9_815},  # a
    "anli_r1": {"train": 16_946, "dev": 1_000},  # a
    "anli_r2": {"train": 45_460, "dev": 1_000},  # a
    "anli_r3": {"train": 100_459, "dev": 1_200},  # a
    "qqp": {"train": 363_846, "dev": 40_430},  # a
    "squad_v1": {"train": 87_599, "dev": 10_570},  # a
    "squad_v2": {"train": 130_319, "dev": 11_873},  # a
    "hellaswag": {"train": 39_905, "dev": 10_042},  # a
    "ccg": {"train": 38_015},  # c; the size of its dev set has no source
    "cosmosqa": {"train": 25_262, "dev": 2_985},  # a
    "commonsenseqa": {"train": 9_741, "dev": 1_221},  # a
    "code_defect": {"train": 21_854, "dev": 2_732}, "code_clone": {"train": 901_028, "dev": 415_416},  # a
    "code_search": {"train": 251_820, "dev": 9_604}, "code_translation": {"train": 10_295, "dev": 499},  # a
    "code_mlm": {"train": 21_854},  # a; of the cloze set it is not known how many functions have names enough
    "siqa": {"train": 33_410, "dev": 1_954},  # a
    "copa": {"train": 400, "dev": 100},  # a
    "xnli": {"dev": 2_490, "test": 5_010},  # a
    "pawsx": {"train": {"en": 49_175}, "dev": {**_each("de en ja ko zh", 2_000), "es": 1_961, "fr": 1_988},
              "test": {**_each("de en es fr ja zh", 2_000), "ko": 1_999}},  # a
    "udpos": {"train": {"en": 21_253}, "dev": _UDPOS_DEV, "test": _UDPOS_TEST},  # a
    "panx": {"train": {"en": 20_000}, "dev": _PANX, "test": _PANX},  # a
    "xquad": {"test": 1_190},  # a
    # made from these (xitt.crossed)
    "xnli_cross": {"test": 5_010}, "xnli_roman": {"test": 5_010}, "pawsx_cross": {"test": 2_000}, "xquad_cross": {"test": 1_190}, "xquad_roman": {"test": 1_190},
    "mlqa": {"dev": {"ar": 517, "de": 512, "en": 1148, "es": 500, "hi": 507, "vi": 511, "zh": 504},
             "test": {"ar": 5335, "de": 4517, "en": 11590, "es": 5253, "hi": 4918, "vi": 5495, "zh": 5137}},  # a
    "tydiqa": {"train": {"en": 3_696}, "dev": {"en": 440}, "test": _TYDIQA_TEST},  # d
    "tatoeba": {"test": {"jv": 205, "ka": 746, "kk": 575, "ml": 687, "sw": 390, "ta": 307, "te": 234, "th": 548, **_each("af ar bg bn de el es et eu fa fi fr he hi hu id it ja ko mr nl pt ru tl tr ur vi zh", 1_000)}},  # a
    "bucc2018": {"dev": {"de": 1038, "fr": 929, "ru": 2374, "zh": 257},
                 "test": {"de": 9580, "fr": 9086, "ru": 14435, "zh": 1899}},  # a; gold pairs
    "xcopa": {"dev": 100, "test": 500},  # a, b
    "lareqa": {"train": 87_599, "dev": 10_570, "test": 1_190},  # a (squad; xquad_r)
    "image_text": {"train": 29_000, "dev": 1_014}, "caption_mlm": {"train": 29_000, "dev": 1_014}, "caption_retrieval": {"test": 1_000},  # Multi30k's page
    "mewslix": {"train": {"en": 167_719}, "dev": {"en": 14_051}, "test": _MEWSLIX_TEST},  # b
}  # fmt: skip


def published(task: str, split: str, language: str) -> int | None:
    """Published number of examples, or ``None`` where no source gives one."""
    size = PUBLISHED.get(task, {}).get(split)
    return size.get(language) if isinstance(size, dict) else size


def shares_of(totals: list[int], limit: int | None) -> list[int]:
    """Sizes that add up to the limit, in proportion to the totals; at least one each."""
    if limit is None or limit >= sum(totals):
        return totals
    shares = [max(1, t * limit // sum(totals)) for t in totals]
    by_rest = sorted(range(len(totals)), key=lambda i: -(totals[i] * limit % sum(totals)))
    for i in by_rest[: max(0, limit - sum(shares))]:
        shares[i] += 1
    return shares
