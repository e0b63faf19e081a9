"""Which columns are one and the same over several hops."""

from packaging.version import Version

from grove_core.migration.kin import Kin

V1, V2, V3 = map(Version, ("1.0", "2.0", "3.0"))
CHAIN = [((V1, "a"), (V2, "b")), ((V2, "b"), (V3, "c")), ((V1, "z"), (V2, "z"))]


def test_columns_are_kin_over_any_number_of_hops_both_ways():
    kin = Kin(CHAIN)
    assert kin.same((V1, "a"), (V3, "c"))
    assert kin.same((V3, "c"), (V1, "a"))


def test_others_are_not():
    kin = Kin(CHAIN)
    assert not kin.same((V1, "a"), (V2, "z"))
    assert not kin.same((V1, "a"), (V1, "c"))
    assert not kin.same((V3, "q"), (V3, "q"))
    assert not Kin().same((V1, "a"), (V2, "b"))


def test_lenses_that_make_kin_of_two_columns_of_one_version_make_none():
    kin = Kin([*CHAIN, ((V3, "c"), (V1, "d"))])
    assert not kin.same((V1, "a"), (V3, "c"))
    assert kin.same((V1, "z"), (V2, "z"))
