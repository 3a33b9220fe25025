"""PyTorch's old files: what they hold comes out right, and what they should not hold is refused, and not run."""

import io
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from torch_files import Call, Name, Storage, Tensor, contiguous, parts_of_file, pickled, state_dict_file

from utils.storage import DataError
from utils.torch_file import ALLOWED, read_state_dict

REFUSED = (
    r"w\.pth cannot be read as a PyTorch state dictionary in the old format: .*({}).*Nothing in it was run"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.pth"


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.normal(size=(4, 3, 2, 5)).astype("float32"),
        "conv.bias": rng.normal(size=4).astype("float32"),
        "bn.num_batches_tracked": np.array(7, "int64"),
    }


def test_what_was_written_comes_out(path, arrays):
    found = read_state_dict(state_dict_file(path, arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_another_order_of_storage(path, arrays):
    """Channels last, transposed, every other number, two tensors in one storage."""
    image = arrays["conv.weight"]
    _, c, h, w = image.shape
    row = Storage(np.arange(12, dtype="float32"))
    tensors = {
        "last": Tensor(Storage(image.transpose(0, 2, 3, 1)), image.shape, (h * w * c, 1, w * c, c)),
        "turned": Tensor(row, (2, 3), (1, 2)),
        "odd": Tensor(row, (3,), (2,), offset=7),
    }
    found = read_state_dict(state_dict_file(path, tensors))
    np.testing.assert_array_equal(found["last"], image)
    np.testing.assert_array_equal(found["turned"], [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(found["odd"], [7, 9, 11])
    found["turned"][:] = -1  # tensors of one storage are arrays of their own
    np.testing.assert_array_equal(found["odd"], [7, 9, 11])


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((13,), (1,), 0),
        ((12,), (1,), 1),
        ((2,), (12,), 0),
        ((3, 4), (5, 1), 0),
        ((2,), (1,), -1),
        ((2,), (-1,), 1),
        ((-2,), (1,), 0),
        ((0,), (1,), 0),
        ((), (), 12),
        ((13,), (0,), 0),
    ],
    ids=[
        "longer", "shifted", "one too far", "rows too far", "before it", "backwards", "negative", "none",
        "scalar", "again and again",
    ],
)  # fmt: skip
def test_view_outside_its_storage(path, shape, strides, offset):
    view = Tensor(Storage(np.arange(12, dtype="float32")), shape, strides, offset)
    filler = np.zeros(100, "float32")  # so that it is this tensor that is too large, and not all of them
    state_dict_file(path, {"filler": Tensor(Storage(filler), (1,), (1,)), "view": view})
    with pytest.raises(DataError, match=REFUSED.format("view lies outside its storage")):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((2,), (1, 1)), ((2.0,), (1,)), (("2",), (1,)), (2, 1), ((1,) * 100, (1,) * 100)],
    ids=["strides too many", "float", "text", "no tuple", "100 dimensions"],
)
def test_shapes_that_are_none(path, shape, strides):
    view = Tensor(Storage(np.arange(12, dtype="float32")), shape, strides)
    with pytest.raises(DataError, match=REFUSED.format("")):
        read_state_dict(state_dict_file(path, {"view": view}))


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 20, 1 << 10), (3 << 30, 1 << 62)], ids=str)
def test_a_number_repeated_costs_no_memory(path, shape):
    one = Storage(np.ones(1, "float32"))
    assert_cheap(state_dict_file(path, {"view": Tensor(one, shape, (0,) * len(shape))}), "more numbers than")


def test_a_storage_used_again_and_again_costs_no_memory(path):
    """Each tensor is within its storage; together they would take 8 GB."""
    storage = Storage(np.zeros(1 << 20, "float32"))
    many = {str(i): Tensor(storage, (1 << 20,), (1,)) for i in range(2000)}
    assert_cheap(state_dict_file(path, many), "more numbers than its storages")


def test_a_storage_that_claims_to_be_huge_costs_no_memory(path):
    storage = Storage(np.ones(1, "float32"), size=1 << 33)
    assert_cheap(state_dict_file(path, {"view": Tensor(storage, (1 << 33,), (1,))}), "ends too early")


def assert_cheap(path, reason):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=REFUSED.format(reason)):
            read_state_dict(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", range(8))
def test_cut_short(path, arrays, part):
    """In the middle of each part of the file, and after it."""
    parts = parts_of_file(arrays)
    assert len(parts) == 8
    before, after = len(b"".join(parts[:part])), len(b"".join(parts[: part + 1]))
    for end in {before, (before + after) // 2, after - 1}:
        path.write_bytes(b"".join(parts)[:end])
        with pytest.raises(DataError, match=REFUSED.format("")):
            read_state_dict(path)
    path.write_bytes(b"".join(parts))
    read_state_dict(path)


def test_something_follows(path, arrays):
    state_dict_file(path, arrays)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match=REFUSED.format("ends too early, or too late")):
        read_state_dict(path)


def zipped() -> bytes:
    """As PyTorch writes since 1.6."""
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Ran out of input"),
        (b"<!doctype html>", ""),
        (zipped(), "a zip archive, as PyTorch writes since 1.6"),
        (pickle.dumps({"a": 1}), "begins otherwise"),
        (pickled(0x1950A86A20F9469CFC6C)[0] + pickled(1002)[0], "begins otherwise"),
        (bytes(1000), ""),
    ],
    ids=["empty", "page", "zip", "another pickle", "another version", "zeros"],
)
def test_another_format(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(DataError, match=REFUSED.format(reason)):
        read_state_dict(path)


def test_no_file(path):
    with pytest.raises(DataError, match=REFUSED.format("No such file or directory")):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"little_endian": False}, "big-endian"), ({"little_endian": None}, "big-endian")],
    ids=["big", "unknown"],
)
def test_the_other_order_of_bytes(path, arrays, facts, reason):
    with pytest.raises(DataError, match=REFUSED.format(reason)):
        read_state_dict(state_dict_file(path, arrays, **facts))


ONE = Storage(np.ones(3, "float32"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "holds list, no dictionary"),
        ({"a": 1}, "other than tensors"),
        ({"a": {"b": contiguous(np.ones(3, "float32"))}}, "other than tensors"),
        ({"a": ONE}, "other than tensors"),
        ({7: contiguous(np.ones(3, "float32"))}, "other than tensors"),
        ({"a": Tensor("storage", (1,), (1,))}, "no storage"),
        ({"a": Tensor(Storage(np.ones(3, "float32"), kind="HalfStorage"), (3,), (1,))}, "torch.HalfStorage"),
        ({"a": Tensor(Storage(np.ones(3, "float32"), size=-3), (3,), (1,))}, "in the place of a storage"),
        ({"a": Tensor(Storage(np.ones(3, "float32"), size=4), (3,), (1,))}, "ends too early"),
        ({"a": Tensor(Storage(np.ones(4, "float32"), size=2), (2,), (1,))}, "or too late"),
        ({"a": Call(Name("torch._utils", "_rebuild_parameter"), 1)}, "torch._utils._rebuild_parameter"),
    ],
    ids=[
        "list", "number", "nested", "storage", "number for a name", "tensor without one", "half precision",
        "negative size", "too long", "too short", "parameter",
    ],
)  # fmt: skip
def test_something_other_than_tensors(path, content, reason):
    with pytest.raises(DataError, match=REFUSED.format(reason)):
        read_state_dict(state_dict_file(path, content))


def test_storages_that_do_not_go_together(path, arrays):
    parts = parts_of_file(arrays)
    for keys in ([], ["94000000"], ["94000000", "94000001", "94000003"], 7):
        path.write_bytes(b"".join([*parts[:4], pickled(keys)[0], *parts[5:]]))
        with pytest.raises(DataError, match=REFUSED.format("")):
            read_state_dict(path)
    # the length in front of a storage, and the rest of the file as before
    path.write_bytes(b"".join([*parts[:5], (59).to_bytes(8, "little"), parts[5][8:], *parts[6:]]))
    with pytest.raises(DataError, match=REFUSED.format("longer or shorter than its tensors say")):
        read_state_dict(path)


def test_two_opinions_of_a_storage(path):
    """The second tensor calls the floats of the first integers."""
    floats = Storage(np.ones(4, "float32"))
    integers = Storage(np.ones(2, "int64"))
    parts = parts_of_file({"a": Tensor(floats, (4,), (1,)), "b": Tensor(integers, (2,), (1,))})
    assert parts[3].count(b"94000001") == 1
    parts[3] = parts[3].replace(b"94000001", b"94000000")
    parts[4] = pickled(["94000000"])[0]
    path.write_bytes(b"".join(parts[:6]))
    with pytest.raises(DataError, match=REFUSED.format("b describes its storage otherwise")):
        read_state_dict(path)


def hostile(name: Name, *arguments) -> list[bytes]:
    """The content as pickles: alone, as a value, as a key, as a storage, among the facts, in place of the keys."""
    call = Call(name, *arguments)
    good = parts_of_file({"a": np.ones(3, "float32")})
    bad = pickled(call)[0]
    files = [[*good[:i], bad, *good[i + 1 :]] for i in range(5)]
    files += [parts_of_file({"a": call}), parts_of_file({"a": Tensor(call, (3,), (1,))})]
    files.append(parts_of_file({"a": np.ones(3, "float32"), "b": [{"c": call}]}))
    return [b"".join(parts) for parts in files]


def calls(victim) -> dict[str, tuple]:
    return {
        "system": (Name("os", "system"), f"{sys.executable} -c \"open(r'{victim}', 'w')\""),
        "eval": (Name("builtins", "eval"), f"open({str(victim)!r}, 'w')"),
        "python 2": (Name("__builtin__", "open"), str(victim), "w"),
        "open": (Name("io", "open"), str(victim), "w"),
    }


@pytest.mark.parametrize("kind", calls("").keys())
def test_nothing_is_run(path, tmp_path, kind):
    victim = tmp_path / "victim"
    call = calls(victim)[kind]
    # what a plain reader does with it, in a process of its own
    path.write_bytes(pickled(Call(*call))[0])
    load = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", load, str(path)], check=True, capture_output=True)
    assert victim.exists()
    victim.unlink()
    for content in hostile(*call):
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=REFUSED.format("it asks for .*, which no state dictionary needs")
        ):
            read_state_dict(path)
        assert not victim.exists()


@pytest.mark.parametrize(
    "name",
    ["torch.load", "torch._utils._import_dotted_name", "builtins.getattr", "collections.namedtuple",
     "numpy.dtype", "utils.torch_file._Unpickler", "torch.FloatStorage.__class__", "torch.serialization.load"],
)  # fmt: skip
def test_other_names_are_refused(path, name):
    module, _, attribute = name.rpartition(".")
    path.write_bytes(hostile(Name(module, attribute))[5])
    with pytest.raises(DataError, match=REFUSED.format(f"asks for {name}")):
        read_state_dict(path)


@pytest.mark.parametrize(
    "state",
    [{"poisoned": 1}, (None, {"poisoned": 1}), (3, "|", None, None, None, -1, -1, 0)],
    ids=["attribute", "slot", "of a dtype"],
)
@pytest.mark.parametrize(
    "name", ["collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch.FloatStorage"]
)
def test_nothing_is_set_on_what_a_name_stands_for(path, arrays, name, state):
    module, _, attribute = name.rpartition(".")
    build = pickle.GLOBAL + f"{module}\n{attribute}\n".encode() + pickle.dumps(state, 2)[2:-1] + pickle.BUILD
    parts = parts_of_file(arrays)
    path.write_bytes(b"".join([*parts[:3], pickle.PROTO + b"\2" + build + pickle.STOP, *parts[4:]]))
    with pytest.raises(
        DataError, match=REFUSED.format("has no attribute '(__dict__|poisoned)'|state is not a dictionary")
    ):
        read_state_dict(path)
    assert not hasattr(ALLOWED[module, attribute], "poisoned")
    found = read_state_dict(state_dict_file(path, arrays))  # and the reader reads as before
    np.testing.assert_array_equal(found["conv.bias"], arrays["conv.bias"])


def test_a_message_stays_short(path):
    """In the place of a storage a tuple of tuples of tuples …, which written out would fill memory."""
    nest = ()
    for _ in range(60):
        nest = (nest, nest)
    nested = pickle.dumps(nest, 2)[:-1] + pickle.BINPERSID + pickle.STOP
    parts = parts_of_file({"a": np.ones(3, "float32")})
    path.write_bytes(b"".join([*parts[:3], nested, *parts[4:]]))
    with pytest.raises(DataError, match=REFUSED.format("in the place of a storage")) as caught:
        read_state_dict(path)
    assert len(str(caught.value)) < 500


def test_a_pickle_that_claims_to_be_huge(path):
    parts = parts_of_file({"a": np.ones(3, "float32")})
    huge = pickle.PROTO + b"\4" + pickle.BINBYTES8 + struct.pack("<Q", 1 << 62) + b"x"
    path.write_bytes(b"".join([*parts[:3], huge]))
    with pytest.raises(DataError, match=REFUSED.format("")):
        read_state_dict(path)
