"""The lens laws, over random schemas, lenses, values and walks, against a model without carried columns.

The model keeps for each major version how it was left: its columns then, and the columns the neighbour got.
Lenses form a chain, so rows come back to a version over the edge they left it by, and the model can tell
from this alone what every column must be.
"""

import contextlib
import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from grove_core import Add, Cast, Column, Drop, Lens, Map, Recode, Rename, Scale, Schema
from grove_core.author.lens import as_data
from grove_core.migration.graph import LensGraph
from grove_core.migration.plan import Added, Endpoint, Made, Passed
from grove_core.migration.rows import Batch, CarriedValues, migrate

DTYPES = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
NAMES = ("a", "b", "c", "d", "e")
FACTORS = (2.0, 0.1, -3.0, 1000.0, 1e300, 1e-300)


@dataclass
class World:
    graph: LensGraph
    versions: list[Version]
    lenses: list[Lens]

    def runner(self):
        return contextlib.nullcontext(self.run)

    def run(self, hop, joint, takes, rows):
        """Run a Map's function here, as a worker would."""
        function = joint.there
        step = self.lenses[function.lens].steps[function.step]
        return step.run(function.direction, takes)


def random_values(dtype, rows, rng):
    """Any bits there are, among them NaN with payloads, infinities, -0.0 and the extremes."""
    if dtype.kind == "b":
        return rng.integers(0, 2, rows).astype("?")
    values = np.frombuffer(rng.bytes(rows * dtype.itemsize), dtype).copy()
    small = rng.integers(0, 5, rows).astype(dtype)
    values = np.where(rng.random(rows) < 0.4, small, values)
    if dtype.kind == "f":
        bits = values.view(f"u{dtype.itemsize}")
        exponent = np.array(np.inf, dtype).view(bits.dtype)
        bits[rng.random(rows) < 0.2] |= exponent
        values[rng.random(rows) < 0.05] = -0.0
    return values


def code(dtype):
    if dtype.kind == "b":
        return st.booleans()
    return st.sampled_from([0, 1, 2, 3, 100] + ([np.nan, -0.0, np.inf] if dtype.kind == "f" else []))


def mixing(dtypes, salt):
    """A function of a Map: each value depends on every bit of its row, and on no other row."""

    def function(**takes):
        total = np.full(len(next(iter(takes.values()))), salt, "u8")
        for name in sorted(takes):
            total = total * np.uint64(6364136223846793005) + takes[name].view(f"u{takes[name].itemsize}")
        return {
            name: (total >> np.uint64(7 * place)).astype(f"u{dtype.itemsize}").view(dtype)
            if dtype.kind != "b"
            else total % np.uint64(2) == 1
            for place, (name, dtype) in enumerate(sorted(dtypes.items()))
        }

    return function


@st.composite
def maps(draw, plain, dtypes):
    """A Map of some plain columns, which are taken out of `dtypes`; its targets are put in."""
    sources = draw(st.lists(st.sampled_from(plain), min_size=1, max_size=3, unique=True))
    free = sorted({*NAMES, *sources} - (dtypes.keys() - set(sources)))
    targets = draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
    taken = {name: dtypes.pop(name) for name in sources}
    given = {name: np.dtype(draw(st.sampled_from(DTYPES))) for name in targets}
    dtypes |= given
    return Map(sources, targets, mixing(given, 1), mixing(taken, 2))


@st.composite
def conversions(draw, kind, name, dtypes):
    """A conversion of one column, whose dtype in `dtypes` becomes what it is then."""
    if kind is Scale:
        return Scale(name, draw(st.sampled_from(FACTORS)), draw(st.sampled_from([0.0, 1.5])))
    if kind is Cast:
        dtypes[name] = np.dtype(draw(st.sampled_from(DTYPES)))
        return Cast(name, dtypes[name].str)
    return Recode(name, draw(st.dictionaries(code(dtypes[name]), code(dtypes[name]), max_size=3)))


@st.composite
def steps_from(draw, dtypes):
    """Steps that fit a schema with these dtypes, and the dtypes that they end in."""
    dtypes, steps, fresh, converted = dict(dtypes), [], set(), set()
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from([Add, Drop, Rename, Scale, Cast, Recode, Map, Map]))
        old = sorted(dtypes.keys() - fresh)
        free = sorted(set(NAMES) - dtypes.keys())
        if kind is Add and free:
            name, dtype = draw(st.sampled_from(free)), np.dtype(draw(st.sampled_from(DTYPES)))
            steps.append(Add(name, draw(st.none() | code(dtype))))
            dtypes[name] = dtype
            fresh.add(name)
        elif kind is Add or not old:
            continue
        elif kind is Map:
            if plain := sorted(set(old) - converted):
                steps.append(draw(maps(plain, dtypes)))
                fresh |= set(steps[-1].targets)
        elif kind is Drop:
            steps.append(Drop(draw(st.sampled_from(old))))
            del dtypes[steps[-1].name]
        elif kind is not Rename:
            steps.append(draw(conversions(kind, draw(st.sampled_from(old)), dtypes)))
            converted.add(steps[-1].name)
        elif free:
            name, new = draw(st.sampled_from(old)), draw(st.sampled_from(free))
            steps.append(Rename(name, new))
            dtypes[new] = dtypes.pop(name)
            converted = converted | {new} if name in converted else converted - {new}
    return steps, dtypes


@st.composite
def worlds(draw):
    """A chain of three or four majors in any order of their numbers, each with one or two versions."""
    majors = draw(st.permutations(range(1, 1 + draw(st.integers(3, 4)))))
    dtypes = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(DTYPES).map(np.dtype), max_size=4))
    chain, lenses = [dtypes], []
    for left, right in itertools.pairwise(majors):
        steps, dtypes = draw(steps_from(dtypes))
        lenses.append(Lens(f"=={left}.*", f"=={right}.*", steps))
        chain.append(dtypes)
    graph = LensGraph("game")
    versions = []
    for major, dtypes in zip(majors, chain, strict=True):
        for patch in range(draw(st.integers(1, 2))):
            names = draw(st.permutations(sorted(dtypes)))
            default = draw(st.sampled_from([0, 1]))
            columns = {name: Column(dtypes[name].str, default, nan=True) for name in names}
            versions.append(Version(f"{major}.0.{patch}"))
            graph.add(Endpoint(versions[-1], Schema(**columns)), as_data(lenses))
    for version in versions:
        graph.check(version)
    return World(graph, sorted(versions), lenses)


def born(world, version, rows, rng):
    dtypes = world.graph.endpoint(version).schema.dtypes
    return Batch(rows, {name: random_values(dtype, rows, rng) for name, dtype in dtypes.items()})


def bits(columns):
    return {name: (values.dtype, values.tobytes()) for name, values in columns.items()}


def copied(columns):
    return {name: values.copy() for name, values in columns.items()}


class Model:
    """What each column must be, from how its version was left."""

    def __init__(self, world):
        self.world = world
        self.left = {}

    def hop(self, columns, hop):
        here, there = hop.source.version.major, hop.target.version.major
        before, given_then = self.left.get(there, ({}, {}))
        result = {}
        for name, origin in hop.columns.items():
            if isinstance(origin, Added):
                dtype = hop.target.schema[name].dtype
                rows = self.rows
                result[name] = before[name] if before else np.full(rows, origin.default, dtype)
            elif isinstance(origin, Passed):
                result[name] = columns[origin.source]
            elif isinstance(origin, Made):
                result[name] = self.made(name, columns, hop.joints[origin.joint], hop, before, given_then)
            else:
                values = columns[origin.source]
                for conversion in origin.conversions:
                    values = conversion.apply(values)
                result[name] = values.copy()
                if before:
                    for row in range(self.rows):
                        if columns[origin.source][row].tobytes() == given_then[origin.source][row].tobytes():
                            result[name][row : row + 1] = before[name][row : row + 1]
        if here != there:
            self.left[here] = (copied(columns), copied(result))
        return copied(result)

    def made(self, name, columns, joint, hop, before, given_then):
        takes = {key: columns[column] for key, column in joint.takes.items()}
        key = next(key for key, column in joint.gives.items() if column == name)
        result = self.world.run(hop, joint, takes, self.rows)[key].copy()
        for row in range(self.rows if before else 0):
            if all(columns[c][row].tobytes() == given_then[c][row].tobytes() for c in joint.takes.values()):
                result[row : row + 1] = before[name][row : row + 1]
        return result

    def walk(self, columns, hops, rows):
        self.rows = rows
        for hop in hops:
            columns = self.hop(columns, hop)
        return columns


seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=300)
@given(worlds(), st.data(), seeds)
def test_every_walk_with_changes_is_what_the_model_says(world, data, seed):
    rng = np.random.default_rng(seed)
    rows = data.draw(st.integers(0, 12), "rows")
    here = data.draw(st.sampled_from(world.versions), "start")
    batch, model = born(world, here, rows, rng), Model(world)
    expected = copied(batch.columns)
    for _ in range(data.draw(st.integers(1, 8), "hops")):
        there = data.draw(st.sampled_from(world.versions), "version")
        hops = world.graph.path(here, there)
        batch, here = migrate(batch, hops, world.runner), there
        expected = model.walk(expected, hops, rows)
        assert bits(batch.columns) == bits(expected)
        batch = Batch(rows, copied(batch.columns), batch.carried)
        for name in data.draw(st.lists(st.sampled_from(NAMES), max_size=1), "changed"):
            if name in batch.columns:
                changed = rng.random(rows) < 0.5
                fresh = random_values(batch.columns[name].dtype, rows, rng)
                batch.columns[name][changed] = fresh[changed]
                expected[name][changed] = fresh[changed]


@settings(deadline=None, max_examples=200)
@given(worlds(), st.data(), seeds)
def test_away_and_back_without_changes_restores_every_bit_of_every_version(world, data, seed):
    rng = np.random.default_rng(seed)
    here = data.draw(st.sampled_from(world.versions), "start")
    batch = born(world, here, 10, rng)
    seen = {here.major: bits(batch.columns)}
    for there in data.draw(st.lists(st.sampled_from(world.versions), max_size=10), "walk"):
        batch, here = migrate(batch, world.graph.path(here, there), world.runner), there
        assert seen.setdefault(here.major, bits(batch.columns)) == bits(batch.columns)


def joined(one, other):
    """Rows of one version in one table: what only one of them carries is not valid for the other."""
    carried = {}
    for entry in one.carried.keys() | other.carried.keys():
        parts = []
        for batch in (one, other):
            image = np.zeros(batch.rows, entry.image.dtype) if entry.image else None
            nothing = CarriedValues(np.zeros(batch.rows, entry.dtype), np.zeros(batch.rows, bool), image)
            parts.append(batch.carried.get(entry, nothing))
        image = np.concatenate([part.image for part in parts]) if entry.image else None
        carried[entry] = CarriedValues(
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.valid for part in parts]),
            image,
        )
    columns = {name: np.concatenate([one.columns[name], other.columns[name]]) for name in one.columns}
    return Batch(one.rows + other.rows, columns, carried)


@settings(deadline=None, max_examples=200)
@given(worlds(), st.data(), seeds)
def test_rows_do_not_mind_each_other(world, data, seed):
    """Rows with different pasts, moved together, become what they become alone."""
    rng = np.random.default_rng(seed)
    walks = st.lists(st.sampled_from(world.versions), min_size=1, max_size=4)
    here = data.draw(st.sampled_from(world.versions), "meeting")
    pasts = []
    for rows in (3, 5):
        past = [*data.draw(walks, "past"), here]
        batch = born(world, past[0], rows, rng)
        for source, target in itertools.pairwise(past):
            batch = migrate(batch, world.graph.path(source, target), world.runner)
        pasts.append(batch)
    together = joined(*pasts)
    for there in data.draw(walks, "future"):
        hops = world.graph.path(here, there)
        pasts = [migrate(batch, hops, world.runner) for batch in pasts]
        together, here = migrate(together, hops, world.runner), there
        assert bits(together.columns) == bits(joined(*pasts).columns)


@st.composite
def webs(draw):
    """Versions with any of four columns under one of two names each, joined by lenses in any shape.

    Returns the graph, its versions, and for each column of each version the number of what it holds: one
    for all versions that are joined without losing it in between.
    """
    versions = [Version(f"{major}.0") for major in range(1, 6)]
    has = {v: draw(st.dictionaries(st.sampled_from("abcd"), st.booleans(), max_size=4)) for v in versions}
    chain = list(itertools.pairwise(draw(st.permutations(versions))))
    others = draw(st.lists(st.sampled_from(list(itertools.combinations(versions, 2))), max_size=6))
    graph, lenses, joined = LensGraph("game"), [], []
    for low, high in {tuple(sorted(pair)) for pair in chain + others}:
        steps = [Drop(_named(has[low], key)) for key in sorted(has[low].keys() - has[high].keys())]
        steps += [Add(_named(has[high], key)) for key in sorted(has[high].keys() - has[low].keys())]
        both = [key for key in sorted(has[low].keys() & has[high].keys()) if has[low][key] != has[high][key]]
        steps += [Rename(_named(has[low], key), _named(has[high], key)) for key in both]
        lenses.append(Lens(f"=={low}", f"=={high}", steps))
        joined.append((low, high))
    for version in versions:
        graph.add(Endpoint(version, Schema(**{_named(has[version], key): "f4" for key in has[version]})), lenses)
        graph.check(version)
    holds = {(version, key): number for number, (version, key) in enumerate((v, k) for v in versions for k in has[v])}
    for _ in versions:
        for low, high in joined:
            for key in has[low].keys() & has[high].keys():
                holds[low, key] = holds[high, key] = min(holds[low, key], holds[high, key])
    return graph, versions, {(v, _named(has[v], key)): number for (v, key), number in holds.items()}


def _named(has, key):
    return key.upper() if has[key] else key


@settings(deadline=None, max_examples=300)
@given(webs(), st.data(), seeds)
def test_whichever_way_rows_go_a_column_holds_what_it_held_last(web, data, seed):
    graph, versions, holds = web
    rng = np.random.default_rng(seed)
    here = data.draw(st.sampled_from(versions), "start")
    batch, last = born(World(graph, versions, []), here, 3, rng), {}
    for there in data.draw(st.lists(st.sampled_from(versions), max_size=10), "walk"):
        for hop in graph.path(here, there):
            last |= {holds[hop.source.version, name]: v.tobytes() for name, v in batch.columns.items()}
            batch = migrate(batch, [hop])
            for name, values in batch.columns.items():
                assert values.tobytes() == last.get(holds[hop.target.version, name], bytes(12))
        here = there
        columns = copied(batch.columns)
        for values in columns.values():
            values[rng.random(3) < 0.5] = rng.random()
        batch = Batch(3, columns, batch.carried)
