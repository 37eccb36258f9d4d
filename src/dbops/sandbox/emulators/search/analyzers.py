"""The analyzers that the service knows without being told; here they are names, no more."""

PREDEFINED = frozenset(
    """
    ar.microsoft ar.lucene hy.lucene bn.microsoft eu.lucene bg.microsoft bg.lucene ca.microsoft ca.lucene
    zh-Hans.microsoft zh-Hans.lucene zh-Hant.microsoft zh-Hant.lucene hr.microsoft cs.microsoft cs.lucene
    da.microsoft da.lucene nl.microsoft nl.lucene en.microsoft en.lucene et.microsoft fi.microsoft fi.lucene
    fr.microsoft fr.lucene gl.lucene de.microsoft de.lucene el.microsoft el.lucene gu.microsoft he.microsoft
    hi.microsoft hi.lucene hu.microsoft hu.lucene is.microsoft id.microsoft id.lucene ga.lucene it.microsoft
    it.lucene ja.microsoft ja.lucene kn.microsoft ko.microsoft ko.lucene lv.microsoft lv.lucene lt.microsoft
    ml.microsoft ms.microsoft mr.microsoft nb.microsoft no.lucene fa.lucene pl.microsoft pl.lucene
    pt-BR.microsoft pt-BR.lucene pt-PT.microsoft pt-PT.lucene pa.microsoft ro.microsoft ro.lucene ru.microsoft
    ru.lucene sr-cyrillic.microsoft sr-latin.microsoft sk.microsoft sl.microsoft es.microsoft es.lucene
    sv.microsoft sv.lucene ta.microsoft te.microsoft th.microsoft th.lucene tr.microsoft tr.lucene
    uk.microsoft ur.microsoft vi.microsoft standard.lucene standardasciifolding.lucene keyword pattern simple
    stop whitespace
    """.split()  # noqa: SIM905  # a column of quotes hides the names
)
