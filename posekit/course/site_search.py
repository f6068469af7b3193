"""Search in the site's Chinese pages, by pairs of neighbouring characters: no dictionary of words is needed."""

import re

from sphinx.search.en import SearchEnglish

_SPLIT = """
var splitQuery = (query) => [...query.matchAll(/[\\u4e00-\\u9fff]+|[^\\W_][\\w]*/gu)].flatMap(([word]) =>
  /^[\\u4e00-\\u9fff]{3}/.test(word) ? [...word].slice(1).map((_, i) => word.slice(i, i + 2)) : [word]);
"""


class SearchChinese(SearchEnglish):
    """English words, and every two Chinese characters that follow one another, in the index as in what is sought."""

    lang = "zh"
    js_splitter_code = _SPLIT

    def split(self, input: str) -> list[str]:
        """The terms of a text."""
        return [term for word in re.findall("[\u4e00-\u9fff]+|[^\\W\u4e00-\u9fff]+", input) for term in _pairs(word)]


def _pairs(word: str) -> list[str]:
    chinese = len(word) > 2 and "\u4e00" <= word[0] <= "\u9fff"
    return [word[i : i + 2] for i in range(len(word) - 1)] if chinese else [word]
