"""Which way is taken between versions, and what is said where there is none."""

import itertools

import pytest
from packaging.version import Version

from grove_core import Add, Drop, Lens, Scale, Schema
from grove_core.base.errors import LensError, NoLensPath, UnknownVersion
from grove_core.migration.graph import LensGraph
from grove_core.migration.plan import Added, Converted, Endpoint

A, AB, ABC = Schema(a="f4"), Schema(a="f4", b="f4"), Schema(a="f4", b="f4", c="f4")
UP1, UP2 = Lens("==1.*", "==2.*", [Add("b")]), Lens("==2.*", "==3.*", [Add("c")])


def graph(*known):
    made = LensGraph("game")
    for version, schema, *lenses in known:
        made.add(Endpoint(Version(version), schema), lenses)
    return made


def way(made, source, target):
    hops = made.path(Version(source), Version(target))
    for hop, following in itertools.pairwise(hops):
        assert hop.target == following.source
    return [str(hop.source.version) for hop in hops] + [str(hop.target.version) for hop in hops[-1:]]


def test_no_way_is_needed_to_itself():
    assert graph(("1.0", A)).path(Version("1.0"), Version("1.0")) == ()


def test_a_chain_is_walked_both_ways():
    made = graph(("1.0", A), ("2.0", AB, UP1), ("3.0", ABC, UP2))
    assert way(made, "1.0", "3.0") == ["1.0", "2.0", "3.0"]
    assert way(made, "3.0", "1.0") == ["3.0", "2.0", "1.0"]
    assert made.path(Version("3.0"), Version("1.0"))[0].dropped == ("c",)


def test_the_order_of_adding_means_nothing():
    known = [("1.0", A), ("2.0", AB, UP1), ("3.0", ABC, UP2)]
    assert way(graph(*known), "1.0", "3.0") == way(graph(*reversed(known)), "1.0", "3.0")


def test_fewest_hops_win_and_a_new_version_may_shorten_the_way():
    made = graph(("1.0", A), ("2.0", AB, UP1), ("3.0", ABC, UP2))
    assert len(made.path(Version("1.0"), Version("3.0"))) == 2
    made.add(Endpoint(Version("3.0"), ABC), [UP2, Lens("==1.*", "==3.*", [Add("b"), Add("c")])])
    assert way(made, "1.0", "3.0") == ["1.0", "3.0"]
    made.add(Endpoint(Version("3.0"), ABC), [UP2])
    assert way(made, "1.0", "3.0") == ["1.0", "2.0", "3.0"]


def test_of_equal_ways_the_lowest_versions_are_taken_both_ways():
    up = [
        Lens("==1.*", "==2.0", [Add("b")]),
        Lens("==1.*", "==2.1", [Add("b")]),
        Lens(">=2,<3", "==3.*", [Add("c")]),
    ]
    made = graph(("1.0", A), ("2.1", AB), ("2.0", AB), ("3.0", ABC, *up))
    assert way(made, "1.0", "3.0") == ["1.0", "2.0", "3.0"]
    assert way(made, "3.0", "1.0") == ["3.0", "2.0", "1.0"]


def test_the_way_back_is_the_inverse_also_of_crossing_ways():
    schemas = {v: Schema(a="f4", **{f"b{v[0]}": "f4"}) for v in ("1.0", "2.0", "3.0", "5.0", "6.0", "7.0")}
    pairs = [("1.0", "2.0"), ("2.0", "6.0"), ("6.0", "7.0"), ("1.0", "3.0"), ("3.0", "5.0"), ("5.0", "7.0")]
    lenses = [Lens(f"=={s}", f"=={t}", [Drop(f"b{s[0]}"), Add(f"b{t[0]}")]) for s, t in pairs]
    made = graph(*((v, schema) for v, schema in schemas.items()), ("8.0", A, *lenses))
    there, back = way(made, "1.0", "7.0"), way(made, "7.0", "1.0")
    assert there == ["1.0", "2.0", "6.0", "7.0"]
    assert back == there[::-1]


def test_a_way_is_found_once():
    made = graph(("1.0", A), ("2.0", AB, UP1))
    assert made.path(Version("1.0"), Version("2.0")) is made.path(Version("1.0"), Version("2.0"))


def test_a_lens_joins_every_version_of_both_sides_and_pre_releases():
    made = graph(("1.0", A), ("1.1", A), ("2.0", AB, UP1), ("2.1rc1", AB))
    assert way(made, "1.1", "2.1rc1") == ["1.1", "2.1rc1"]
    assert way(made, "2.0", "1.0") == ["2.0", "1.0"]


def test_versions_with_equal_columns_need_no_lens():
    made = graph(("1.0", A), ("1.1", A), ("2.0", A))
    assert way(made, "2.0", "1.0") == ["2.0", "1.0"]


def test_patches_on_one_side_of_a_lens_are_joined_directly():
    made = graph(("1.0", A), ("2.0.0", AB, UP1), ("2.0.1", AB))
    (hop,) = made.path(Version("2.0.0"), Version("2.0.1"))
    assert (hop.source_spec, hop.dropped) == ("==2.0.0", ())


def test_a_lens_beats_equal_columns():
    kilometres = Lens("==1.*", "==2.*", [Scale("a", 0.001)])
    made = graph(("1.0", A), ("2.0", A, kilometres), ("3.0", A))
    (hop,) = made.path(Version("1.0"), Version("2.0"))
    assert isinstance(hop.columns["a"], Converted)
    # 3.0 has the columns of 2.0, the version before it, and nobody gets past the lens to it.
    assert way(made, "1.0", "3.0") == ["1.0", "2.0", "3.0"]
    assert way(made, "3.0", "1.0") == ["3.0", "2.0", "1.0"]


def test_a_chain_of_lenses_beats_equal_columns():
    lenses = [Lens("==1.*", "==2.*", [Scale("a", 0.001), Add("b")]), Lens("==2.*", "==3.*", [Drop("b")])]
    made = graph(("1.0", A), ("2.0", AB), ("3.0", A, *lenses))
    assert way(made, "1.0", "3.0") == ["1.0", "2.0", "3.0"]


def test_one_lens_serves_both_ways_and_the_higher_versions_own_is_it():
    made = graph(
        ("1.0", A, Lens("==2.*", "==1.*", [Drop("b")])),
        ("2.0", AB, Lens("==1.*", "==2.*", [Add("b", 2.0)])),
        ("2.1", AB, Lens("==1.*", "==2.*", [Add("b", 3.0)])),
    )
    assert made.path(Version("1.0"), Version("2.0"))[0].columns["b"] == Added(2.0)
    assert made.path(Version("1.0"), Version("2.1"))[0].columns["b"] == Added(3.0)
    (back,) = made.path(Version("2.0"), Version("1.0"))
    assert back == made.path(Version("1.0"), Version("2.0"))[0].inverse()


def test_a_lens_may_lead_downwards():
    made = graph(("1.0", A, Lens("==2.*", "==1.*", [Drop("b")])), ("2.0", AB))
    assert made.path(Version("1.0"), Version("2.0"))[0].columns["b"] == Added(0)


def test_check_names_both_versions():
    made = graph(("1.0", A), ("1.1", Schema(z="f4")), ("2.0", AB, UP1))
    made.check(Version("1.0"))
    for version in ("1.1", "2.0"):
        with pytest.raises(LensError) as caught:
            made.check(Version(version))
        assert str(caught.value) == (
            "game@2.0: the lens '==1.*' -> '==2.*' does not lead from 1.1 to 2.0: "
            "column 'z' is left over, which the target's schema lacks; Drop or Rename it"
        )


def test_a_lens_that_does_not_fit_stops_only_its_own_pair():
    made = graph(("1.0", A), ("1.1", Schema(z="f4")), ("2.0", AB, UP1))
    assert way(made, "1.0", "2.0") == ["1.0", "2.0"]
    with pytest.raises(NoLensPath, match=r"Some lenses do not fit: the lens .* from 1\.1 to 2\.0: column 'z'"):
        made.path(Version("1.1"), Version("2.0"))


def test_a_second_lens_stands_in_for_one_that_does_not_fit():
    made = graph(("1.0", A), ("2.0", AB, Lens("==1.*", "==2.*"), UP1))
    assert way(made, "1.0", "2.0") == ["1.0", "2.0"]


def test_no_way_says_what_is_missing():
    made = graph(("1.0", A), ("2.0", AB, UP1), ("3.0", ABC))
    for source, target in (("1.0", "3.0"), ("3.0", "1.0")):
        with pytest.raises(NoLensPath) as caught:
            made.path(Version(source), Version(target))
        assert str(caught.value) == (
            "game: no chain of lenses joins 1.0 and 3.0: those of 1.0 reach 1.0, 2.0, "
            "those of 3.0 reach 3.0; declare a Lens from one of the former to one of the latter"
        )


def test_an_unknown_version():
    made = graph(("1.0", A), ("2.0", AB, UP1))
    made.remove(Version("2.0"))
    made.remove(Version("2.0"))
    assert made.versions == (Version("1.0"),)
    for call in (
        lambda v: made.path(Version("1.0"), v),
        lambda v: made.path(v, v),
        made.check,
        made.endpoint,
    ):
        with pytest.raises(UnknownVersion) as caught:
            call(Version("2.0"))
        assert str(caught.value) == "game@2.0: its schema is not known, only those of: 1.0; install or load it"


def test_removing_a_version_takes_its_lenses_along():
    made = graph(("1.0", A), ("2.0", AB), ("3.0", ABC, UP1))
    assert way(made, "1.0", "2.0") == ["1.0", "2.0"]
    made.remove(Version("3.0"))
    with pytest.raises(NoLensPath):
        made.path(Version("1.0"), Version("2.0"))


def test_a_side_that_is_no_specifier_changes_nothing():
    made = graph(("1.0", A))
    with pytest.raises(LensError) as caught:
        made.add(Endpoint(Version("2.0"), AB), [Lens("1", "==2.*", [Add("b")])])
    assert str(caught.value) == "game@2.0: the lens '1' -> '==2.*': '1' is no specifier; write one such as '==1.*'"
    assert made.versions == (Version("1.0"),)


def test_a_side_with_a_number_that_cannot_be_read_changes_nothing():
    made = graph(("1.0", A))
    with pytest.raises(LensError, match="is no specifier"):
        made.add(Endpoint(Version("2.0"), AB), [Lens("==1.*", f">={'9' * 5000}", [Add("b")])])
    made.check(Version("1.0"))
    assert made.versions == (Version("1.0"),)
