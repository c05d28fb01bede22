"""What secrets have in common: nobody copies or pickles them, and those of a key are never changed."""

from __future__ import annotations

from typing import ClassVar, NoReturn


class Uncopied:
    """Neither copied nor pickled. `_copying` is what who tries it is told."""

    __slots__ = ()
    _copying: ClassVar[str]

    def _refuse_copy(self, *_: object) -> NoReturn:
        raise TypeError(self._copying)

    __copy__ = __deepcopy__ = __getstate__ = __reduce__ = __reduce_ex__ = _refuse_copy


class Unchanged(Uncopied):
    """Nor changed, once it is made (by `object.__setattr__`). `_changing` is what who tries it is told."""

    __slots__ = ()
    _changing: ClassVar[str]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(self._changing)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(self._changing)


class HiddenKeyShare(Unchanged):
    """A member's secret of either kind."""

    __slots__ = ()
    _copying = "a key share cannot be copied or pickled; use seal_key_share to store it"
    _changing = "a key share cannot be changed"
