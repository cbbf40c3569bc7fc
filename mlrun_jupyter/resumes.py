"""placeholder"""
from typing import Any
def resume(session: Any, run: Any, *, anyway: bool = False) -> Any:
    raise NotImplementedError
