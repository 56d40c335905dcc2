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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.utils.backend_registration as registration
from torch import Tensor
from torch._ops import OpOverload

from helpers.device_counts import note, note_operation
from helpers.fake_autocast import register_autocast

DEVICE = "fakegpu"
IS_SUPPORTED = hasattr(registration, "_setup_privateuseone_for_python_backend")

# Operations that take CPU tensors beside the device's: any that is pointwise takes 0-dim ones.
_TAKES_SCALARS = {"aten::masked_fill", "aten::masked_fill_", "aten::fill_", "aten::floor_divide"}
_TAKES_INDICES = {
    "aten::index": 1,
    "aten::_unsafe_index": 1,
    "aten::index_put": 1,
    "aten::index_put_": 1,
    "aten::_index_put_impl_": 1,
}
# Composite on the CPU, one kernel (or one call of cuDNN) on CUDA.
_OWN_KERNELS = ("convolution", "_foreach_")

_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
# A device that nobody has: it runs what PyTorch does on any device without kernels of its own.
_ANY = torch._C.DispatchKeySet(torch._C.DispatchKey.PrivateUse2)
_libraries: list[torch.library.Library] = []
_available = False
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
    tensors = list(_tensors_in((args, kwargs)))
    fakes = [each for each in tensors if is_fake(each)]
    _refuse_mixed_devices(op, args, kwargs, tensors)
    note_operation(op, masks=_masks_among_indices(op, args))
    values = {id(each): on_cpu(each) for each in fakes}
    storages = {_memory_of(each)._cdata: each for each in map(Tensor.untyped_storage, fakes)}

    def to_cpu(value: Any) -> Any:
        if isinstance(value, Tensor):
            return values.get(id(value), value)
        if isinstance(value, torch.device):
            return torch.device("cpu")
        return value

    kwargs.pop("pin_memory", None)
    is_random = torch.Tag.nondeterministic_seeded in op.tags
    with torch._C._AutoDispatchBelowAutograd(), _own_random_state() if is_random else nullcontext():
        call = op.overloadpacket if _has_bare_number(op, args) else op
        output = call(*_map(to_cpu, args), **_map(to_cpu, kwargs))

    written = {id(values[id(each)]): each for each in fakes}
    for each in fakes:  # what out= and in-place operations have given another shape
        after = values[id(each)]
        if after.shape != each.shape or after.stride() != each.stride():
            _lay_out(each, after, _storage_over(after.untyped_storage()))

    def to_device(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        known = storages.get(value.untyped_storage()._cdata)
        return written[id(value)] if id(value) in written else on_device(value, known)

    return _map(to_device, output)


def _has_bare_number(op: OpOverload, args: tuple) -> bool:
    """Return whether a number stands for a tensor, as the 2 of ``x % 2`` does."""
    return any(isinstance(args[place], (int, float)) for place in _tensor_places(op, len(args)))


@functools.cache
def _tensor_places(op: OpOverload, count: int) -> list[int]:
    arguments = op._schema.arguments[:count]
    return [place for place, each in enumerate(arguments) if str(each.type) == "Tensor"]


def _refuse_mixed_devices(
    op: OpOverload, args: tuple, kwargs: dict[str, Any], tensors: list[Tensor]
) -> None:
    name = op._schema.name
    if isinstance(kwargs.get("generator"), torch.Generator):
        raise RuntimeError(f"Expected a {DEVICE!r} device type for generator but found 'cpu'")
    others = [each for each in tensors if not is_fake(each)]
    if name in _TAKES_INDICES and is_fake(args[0]):
        indices = {id(each) for each in _tensors_in(args[1])}
        others = [each for each in others if id(each) not in indices]
    takes_scalars = torch.Tag.pointwise in op.tags or name in _TAKES_SCALARS | set(_TAKES_INDICES)
    if any(each.dim() > 0 or not takes_scalars for each in others):
        found = ", ".join(f"{each.device} {list(each.shape)}" for each in tensors)
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {name} got tensors on {found}"
        )


def _masks_among_indices(op: OpOverload, args: tuple) -> int:
    if op._schema.name not in _TAKES_INDICES:
        return 0
    indices = list(_tensors_in(args[1]))
    masks = [each for each in indices if each.dtype in (torch.bool, torch.uint8)]
    for each in indices:
        if not is_fake(each):
            note("uploads", "index")
    is_masked_fill = len(args) > 2 and args[2].numel() == 1
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


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors_in(each)


def _map(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply a function to each leaf of lists, tuples and dicts."""
    if isinstance(value, (list, tuple)):
        return type(value)(_map(function, each) for each in value)
    if isinstance(value, dict):
        return {key: _map(function, each) for key, each in value.items()}
    return function(value)


_cpu_clone = torch.UntypedStorage.clone


def _clone_storage(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    if storage.device.type != DEVICE:
        return _cpu_clone(storage)
    return _storage_over(_cpu_clone(_memory_of(storage)))


def _location_of(storage: torch.UntypedStorage) -> str | None:
    return f"{DEVICE}:0" if storage.device.type == DEVICE else None


def _restore_storage(memory: torch.UntypedStorage, location: str) -> Any:
    return _storage_over(memory) if location.startswith(DEVICE) else None
