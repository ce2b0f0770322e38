"""Parameters as RFC 2231 has them and as mailers write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.mime.params import parameter


class ParameterTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Plain, with encoded words, with a charset, in pieces of both kinds, and the plain form beside a better one."""
        for params, wanted in (
            ({"filename": "a.pdf"}, "a.pdf"),
            ({"filename": "=?utf-8?q?Angebot_f=C3=BCr?="}, "Angebot für"),
            ({"filename*": "utf-8''Angebot%20f%C3%BCr.pdf"}, "Angebot für.pdf"),
            ({"filename*": "iso-8859-1'de'%FCber"}, "über"),
            ({"filename*": "no charset"}, "no charset"),
            ({"filename*0": "a very ", "filename*1": "long name"}, "a very long name"),
            ({"filename*0*": "utf-8''%E2%82", "filename*1*": "%AC", "filename*2": " 5%.txt"}, "€ 5%.txt"),
            ({"filename": "plain", "filename*": "utf-8''better"}, "better"),
            ({"name": "other"}, None),
            ({"filename*1": "no beginning"}, None),
            ({"filename*": "utf-8''a%0D%0Ab"}, "a  b"),
        ):
            self.assertEqual(parameter(params, "filename"), wanted, params)

    @given(st.dictionaries(st.sampled_from(["f", "f*", "f*0", "f*0*", "f*1", "f*1*", "f*2"]), st.text()))
    def test_anything(self, params: dict[str, str]) -> None:
        """Whatever is in the parameters, there is a text on one line or none."""
        told = parameter(params, "f")
        self.assertFalse(told is not None and ("\r" in told or "\n" in told))
