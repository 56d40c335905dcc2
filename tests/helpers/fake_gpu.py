"""A pretended GPU: a device whose tensors are CPU memory, on which mistakes fail as on CUDA.

PyTorch lets Python implement the device type PrivateUse1. Each tensor of ``fakegpu`` has a storage
of its own over the memory of a CPU storage; an operation runs on CPU tensors of the same
memory, shape and strides, so that results are the CPU's to the bit, views share memory, and
in-place and ``out=`` forms write where they should. What differs from the CPU:

* an operation that mixes it with CPU tensors fails, but for 0-dim CPU tensors and indices;
* ``numpy()`` fails, and so does a CPU generator;
* it has a random state of its own, which ``torch.manual_seed`` sets, too;
* autocast follows CUDA's lists, see ``fake_autocast``;
* ``device_counts`` sees what waits and what starts a kernel.

What it cannot show: streams (nothing is asynchronous: a copy that is read too early is right here),
memory, cuDNN's choice of algorithms, and ``torch.Generator(device="fakegpu")``, which needs C++.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils.backend_registration as registration
from torch import Tensor
from torch._ops import OpOverload

from helpers.device_counts import is_view, note, note_operation
from helpers.fake_autocast import register_autocast

DEVICE = "fakegpu"
IS_SUPPORTED = hasattr(registration, "_setup_privateuseone_for_python_backend")

# Operations that take CPU tensors beside the device's: any that is pointwise takes 0-dim ones.
_TAKES_SCALARS = {"aten::masked_fill", "aten::masked_fill_", "aten::fill_", "aten::floor_divide"}
_TAKES_INDICES = {  # as the second argument
    "aten::index",
    "aten::_unsafe_index",
    "aten::index_put",
    "aten::index_put_",
    "aten::_index_put_impl_",
}
# Composite on the CPU, one kernel (or one call of cuDNN) on CUDA.
_OWN_KERNELS = ("convolution", "_foreach_")

_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
# A device that nobody has: it runs what PyTorch does on any device without kernels of its own.
_ANY = torch._C.DispatchKeySet(torch._C.DispatchKey.PrivateUse2)
_libraries: list[torch.library.Library] = []
_available = False
_has_float64 = True
_random_state: Tensor


@functools.cache
def register() -> None:
    """Add the device to this process; it cannot be taken away again."""
    registration._setup_privateuseone_for_python_backend(DEVICE, _Module(), _Hook())
    _Module.manual_seed_all(torch.initial_seed())
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(_run, "PrivateUse1")  # torchvision's operations
    aten = torch.library.Library("aten", "IMPL")
    for op in _operations_with_kernels():
        aten.impl(op, functools.partial(_run, op), "PrivateUse1")
    aten.impl("_copy_from", _copy_from, "PrivateUse1")
    aten.impl("_to_copy", _to_copy, "PrivateUse1")
    for overload in ("source_Storage", "source_Storage_storage_offset", "source_Tensor"):
        op = getattr(torch.ops.aten.set_, overload)
        aten.impl(op, functools.partial(_set_, op), "PrivateUse1")
    aten.impl("_pin_memory", _pin_memory, "CPU")
    aten.impl("is_pinned", _is_pinned, "CPU")
    _libraries.extend([everything, aten, *register_autocast(DEVICE)])
    torch.UntypedStorage.clone = _clone_storage  # for copies of modules and tensors
    torch.serialization.register_package(0, _location_of, _restore_storage)


@contextmanager
def plugged_in() -> Iterator[str]:
    """Let ``torch.accelerator`` and data loaders find the device; yield its name."""
    global _available
    register()
    _available = True
    try:
        yield DEVICE
    finally:
        _available = False


@contextmanager
def without_float64() -> Iterator[None]:
    """Let the device refuse numbers of 64 bits with a point, as Apple's MPS does."""
    global _has_float64
    _has_float64 = False
    try:
        yield
    finally:
        _has_float64 = True


class _Hook(registration._DummyPrivateUse1Hook if IS_SUPPORTED else object):
    def is_available(self) -> bool:
        return _available


class _Module:
    """``torch.fakegpu``."""

    @staticmethod
    def is_available() -> bool:
        return _available

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    @staticmethod
    def synchronize(device: object = None) -> None:
        note("syncs", "synchronize")

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        global _random_state
        _random_state = torch.Generator().manual_seed(seed).get_state()

    manual_seed = manual_seed_all

    @staticmethod
    def get_rng_state(device: object = None) -> Tensor:
        return _random_state.clone()

    @staticmethod
    def set_rng_state(state: Tensor, device: object = None) -> None:
        global _random_state
        _random_state = state.clone()


def is_fake(value: object) -> bool:
    """Return whether a value is a tensor of the device."""
    return isinstance(value, Tensor) and value.device.type == DEVICE


def on_cpu(tensor: Tensor) -> Tensor:
    """Return a CPU tensor over the same memory."""
    values = torch.empty(0, dtype=tensor.dtype)
    memory = _memory_of(tensor.untyped_storage())
    return values.set_(memory, tensor.storage_offset(), tensor.shape, tensor.stride())


def _memory_of(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    if not hasattr(storage, "memory"):  # PyTorch made it from a pointer, to write it into a file
        make = torch._C._construct_storage_from_data_pointer
        storage.memory = make(storage.data_ptr(), torch.device("cpu"), storage.nbytes())
    return storage.memory


def on_device(values: Tensor, storage: torch.UntypedStorage | None = None) -> Tensor:
    """Return a tensor of the device over a CPU tensor's memory.

    Args:
        values: on the CPU.
        storage: of the device, where there already is one over that memory.
    """
    if values.dtype == torch.float64 and not _has_float64:
        raise TypeError(f"{DEVICE} has no float64")
    tensor = torch._C._acc.create_empty_tensor((0,), values.dtype)
    return _lay_out(tensor, values, storage or _storage_over(values.untyped_storage()))


def _lay_out(tensor: Tensor, values: Tensor, storage: torch.UntypedStorage) -> Tensor:
    op = torch.ops.aten.set_.source_Storage_storage_offset
    layout = (values.storage_offset(), values.shape, values.stride())
    with torch._C._AutoDispatchBelowAutograd():
        return op.redispatch(_CPU, tensor, storage, *layout)


def _storage_over(memory: torch.UntypedStorage) -> torch.UntypedStorage:
    device = torch.device(DEVICE, 0)
    storage = torch._C._construct_storage_from_data_pointer(
        memory.data_ptr(), device, memory.nbytes()
    )
    storage.memory = memory  # lives as long as the storage
    return storage


def _run(op: OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Run an operation on CPU tensors over the same memory."""
    facts = _facts_of(op)
    fakes: dict[int, Tensor] = {}
    values: dict[int, Tensor] = {}  # by the same keys, on the CPU
    others: list[Tensor] = []

    def to_cpu(value: Any) -> Any:
        if isinstance(value, Tensor):
            key = id(value)
            if value.is_cpu:
                others.append(value)
                return value
            if key not in fakes:
                fakes[key], values[key] = value, on_cpu(value)
            return values[key]
        if isinstance(value, (list, tuple)):
            return [to_cpu(each) for each in value]
        return torch.device("cpu") if isinstance(value, torch.device) else value

    kwargs.pop("pin_memory", None)
    inputs, options = to_cpu(args), {key: to_cpu(value) for key, value in kwargs.items()}
    _refuse_mixed_devices(facts, args, kwargs, others)
    note_operation(op, masks=_masks_among_indices(args) if facts.takes_indices else 0)
    # a number may stand for a tensor, as the 2 of ``x % 2`` does: another overload takes it
    is_number = any(isinstance(args[at], (int, float)) for at in facts.tensors if at < len(args))
    random_state = _own_random_state() if facts.is_random else nullcontext()
    with torch._C._AutoDispatchBelowAutograd(), random_state:
        output = (op.overloadpacket if is_number else op)(*inputs, **options)
    for key, fake in fakes.items():  # what out= and in-place forms have given another shape
        after = values[key]
        if after.shape != fake.shape or after.stride() != fake.stride():
            _lay_out(fake, after, _storage_over(after.untyped_storage()))
    written = {id(values[key]): fake for key, fake in fakes.items()}
    storages = {}
    if facts.is_view:
        storages = {values[key].untyped_storage()._cdata: fake for key, fake in fakes.items()}

    def to_device(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(to_device(each) for each in value)
        if not isinstance(value, Tensor) or id(value) in written:
            return written.get(id(value), value)
        base = storages.get(value.untyped_storage()._cdata) if storages else None
        return on_device(value, None if base is None else base.untyped_storage())

    return to_device(output)


@dataclass(frozen=True)
class _Facts:
    """What an operation's schema and tags say."""

    name: str
    is_random: bool
    is_view: bool
    takes_scalars: bool
    takes_indices: bool
    tensors: list[int]
    """The places of arguments that are tensors."""


@functools.cache
def _facts_of(op: OpOverload) -> _Facts:
    schema = op._schema
    takes_indices = schema.name in _TAKES_INDICES
    return _Facts(
        name=schema.name,
        is_random=torch.Tag.nondeterministic_seeded in op.tags,
        is_view=is_view(op),
        takes_scalars=(
            takes_indices or torch.Tag.pointwise in op.tags or schema.name in _TAKES_SCALARS
        ),
        takes_indices=takes_indices,
        tensors=[at for at, each in enumerate(schema.arguments) if str(each.type) == "Tensor"],
    )


def _refuse_mixed_devices(
    facts: _Facts, args: tuple, kwargs: dict[str, Any], others: list[Tensor]
) -> None:
    if isinstance(kwargs.get("generator"), torch.Generator):
        raise RuntimeError(f"Expected a {DEVICE!r} device type for generator but found 'cpu'")
    if facts.takes_indices and is_fake(args[0]):
        indices = {id(each) for each in args[1]}
        others = [each for each in others if id(each) not in indices]
    wrong = [each for each in others if each.dim() > 0 or not facts.takes_scalars]
    if wrong:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {facts.name} got one on "
            f"{DEVICE!r} and one of {list(wrong[0].shape)} on the CPU"
        )


def _masks_among_indices(args: tuple) -> int:
    """Return how many masks a device has to count; note the indices that come from the CPU."""
    indices = [each for each in args[1] if each is not None]
    for _ in (each for each in indices if not is_fake(each)):
        note("uploads", "index")
    is_masked_fill = len(args) > 2 and args[2].numel() == 1
    masks = [each for each in indices if each.dtype in (torch.bool, torch.uint8)]
    return 0 if is_masked_fill else sum(map(is_fake, masks))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy within the device, or between it and the host."""
    values = on_cpu(source) if is_fake(source) else source
    (on_cpu(target) if is_fake(target) else target).copy_(values)
    if not is_fake(target):
        if not non_blocking:
            note("syncs", "copy to host")
    elif is_fake(source):
        note("kernels", "aten::copy_")
    elif not (non_blocking and source.is_pinned()):
        note("uploads", "copy to device")
    return target


def _to_copy(tensor: Tensor, **options: Any) -> Tensor:
    """Convert to another type or device; what comes to the host without waiting is pinned."""
    op = torch.ops.aten._to_copy.default
    to_host = options.get("device") is not None and options["device"].type == "cpu"
    if to_host and options.get("non_blocking"):
        return _pin_memory(op(on_cpu(tensor), **options))
    return op.redispatch(_ANY, tensor, **options)


def _set_(op: OpOverload, tensor: Tensor, *args: Any) -> Tensor:
    return op.redispatch(_CPU, tensor, *args)


def _pin_memory(tensor: Tensor, device: torch.device | None = None) -> Tensor:
    """Return a copy that counts as pinned; where there is CUDA it really is."""
    if torch.cuda.is_available():
        return torch.ops.aten._pin_memory.default.redispatch(_ANY, tensor, torch.device("cuda"))
    copy = tensor.clone()
    copy.untyped_storage().is_pinned_for_fake_gpu = True
    return copy


def _is_pinned(tensor: Tensor, device: torch.device | None = None) -> bool:
    if torch.cuda.is_available():
        return torch.ops.aten.is_pinned.default.redispatch(_ANY, tensor, torch.device("cuda"))
    return hasattr(tensor.untyped_storage(), "is_pinned_for_fake_gpu")


def _operations_with_kernels() -> Iterator[OpOverload]:
    """Yield what a device implements itself: the rest of PyTorch is made of these."""
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    for qualified in torch._C._dispatch_get_all_op_names():
        library, name = qualified.split("::")
        is_own = has_kernel(qualified, "CPU") or name.startswith(_OWN_KERNELS)
        if library == "aten" and is_own and not name.startswith("set_."):
            name, _, overload = name.partition(".")
            yield getattr(getattr(torch.ops.aten, name), overload or "default")


@contextmanager
def _own_random_state() -> Iterator[None]:
    global _random_state
    of_the_host = torch.get_rng_state()
    torch.set_rng_state(_random_state)
    try:
        yield
    finally:
        _random_state = torch.get_rng_state()
        torch.set_rng_state(of_the_host)


_cpu_clone = torch.UntypedStorage.clone


def _clone_storage(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    if storage.device.type != DEVICE:
        return _cpu_clone(storage)
    return _storage_over(_cpu_clone(_memory_of(storage)))


def _location_of(storage: torch.UntypedStorage) -> str | None:
    return f"{DEVICE}:0" if storage.device.type == DEVICE else None


def _restore_storage(memory: torch.UntypedStorage, location: str) -> Any:
    return _storage_over(memory) if location.startswith(DEVICE) else None
