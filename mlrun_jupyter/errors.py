"""Every error that a user can meet, in one tree.

    MLRunError                              what went wrong, why, what to do next
    ├── MLRunInvalidArgumentError           the caller gave something that cannot be right (also a ValueError)
    │   ├── NameInvalidError                a name, tag, key or URI of the wrong form
    │   ├── ParameterError                  a parameter: unknown, missing, of the wrong type
    │   ├── DefinitionError                 a cell, file or handler that cannot become a function
    │   │   ├── CellSyntaxError             … because it does not parse
    │   │   └── CaptureError                … because of names that cannot be taken along (`problems`)
    │   ├── UnpackableError                 a value that no packager can store safely
    │   └── FeatureError                    rows and features that do not fit together
    │       ├── SchemaDriftError            … columns or types are not those of the table (`rows`)
    │       └── FeatureDataError            … values: no time, mixed zones, null keys, columns of one name
    ├── MLRunNotFoundError                  a project, function, run, artifact or input that is not there
    │   └── InputNotFoundError              a declared input whose data cannot be found
    ├── MLRunConflictError                  the thing changed or exists already
    │   └── TableChangedError               … a table that rows were made for, at a version of it
    ├── MLRunPreconditionFailedError        not now: no current project, a state that does not allow it
    │   ├── NoProjectError                  nothing says which project this belongs to
    │   ├── EnvironmentMismatchError        Python or packages where it would run do not suit (`rows`)
    │   └── NoResourcesError                nobody there has what the run needs
    ├── MLRunTimeoutError                   a deadline passed
    ├── MLRunRuntimeError                   a run did not do what it had to
    │   ├── RunFailedError                  it ended as error, aborted or lost (`run`)
    │   └── OutputMissingError              a declared output was never made
    ├── MLRunMissingDependencyError         a package that this needs is not installed (`install`)
    ├── UntrustedArtifactError              reading it could execute code, and nobody said that it may
    ├── SecretNotFoundError                 a secret reference that no store resolves
    └── StoreError                          the home folder or its database
        ├── StoreUnreadableError            it is damaged or may not be read
        ├── StoreReadOnlyError              it may not be written
        ├── StoreFullError                  no space left
        ├── StoreTooNewError                a newer version wrote it
        ├── StreamAwayError                 a stream of events does not answer
        └── StreamTrimmedError              events are gone that were not read (`position`, `lost`)

Each carries three texts: ``what`` happened, ``why``, and the ``next_step``. They survive pickling, and notebooks
show them without a traceback of ours.
"""

from __future__ import annotations

from typing import Any


class MLRunError(Exception):
    """Base of all errors that mlrun-jupyter raises on purpose.

    :param what: one sentence that names the thing.
    :param why: the cause, where it is known.
    :param next_step: what the reader can do about it.
    """

    def __init__(self, what: str, *, why: str = "", next_step: str = "", **details: Any) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step
        self.details = details

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  cause: {self.why}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, self.why, self.next_step, self.details)

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: the message alone, since the frames are ours and not the reader's."""
        return f"{type(self).__name__}: {self}".splitlines()


def _rebuild(cls: type[MLRunError], what: str, why: str, next_step: str, details: dict[str, Any]) -> MLRunError:
    return cls(what, why=why, next_step=next_step, **details)


class MLRunInvalidArgumentError(MLRunError, ValueError):
    """The caller gave something that cannot be right."""


class NameInvalidError(MLRunInvalidArgumentError):
    """A name, tag, key or URI does not have the form it must have."""


class ParameterError(MLRunInvalidArgumentError):
    """A parameter is unknown, missing or of the wrong type."""


class DefinitionError(MLRunInvalidArgumentError):
    """A cell, file or handler cannot become a function."""


class CellSyntaxError(DefinitionError):
    """The source does not parse."""


class CaptureError(DefinitionError):
    """Names that the code needs cannot be taken along; ``problems`` lists them, one each."""

    @property
    def problems(self) -> list[Any]:
        return list(self.details.get("problems", ()))


class UnpackableError(MLRunInvalidArgumentError):
    """No packager can store this value safely."""


class MLRunNotFoundError(MLRunError, LookupError):
    """A project, function, run or artifact is not there."""


class InputNotFoundError(MLRunNotFoundError):
    """The data of a declared input cannot be found."""


class FeatureError(MLRunInvalidArgumentError):
    """Features and rows do not fit together."""


class SchemaDriftError(FeatureError):
    """Columns or types of new rows are not those of the table. ``rows`` are the differences: column, there, given."""

    @property
    def rows(self) -> list[list[str]]:
        return list(self.details.get("rows", ()))


class FeatureDataError(FeatureError):
    """Rows that cannot be features: no time, mixed zones, null keys, columns of one name."""


class MLRunConflictError(MLRunError):
    """The thing exists already, or changed meanwhile."""


class TableChangedError(MLRunConflictError):
    """A table is of another version than the one that rows were made for."""


class MLRunPreconditionFailedError(MLRunError):
    """It cannot be done in the present state."""


class NoProjectError(MLRunPreconditionFailedError):
    """Nothing says which project this belongs to."""


class EnvironmentMismatchError(MLRunPreconditionFailedError):
    """Python or packages at the place where the run would go do not suit. ``rows`` is the comparison."""

    @property
    def rows(self) -> list[list[str]]:
        return list(self.details.get("rows", ()))


class NoResourcesError(MLRunPreconditionFailedError):
    """Nobody at the place where the run would go has what it needs."""


class MLRunTimeoutError(MLRunError, TimeoutError):
    """A deadline passed."""


class MLRunRuntimeError(MLRunError, RuntimeError):
    """A run did not do what it had to."""


class RunFailedError(MLRunRuntimeError):
    """A run ended as error, aborted or lost. ``run`` is the run object where the raiser had it."""

    @property
    def run(self) -> Any:
        return self.details.get("run")

    def __reduce__(self) -> tuple[Any, ...]:
        # a run object holds a store; what crosses a process boundary is the text
        details = {k: v for k, v in self.details.items() if k != "run"}
        return _rebuild, (type(self), self.what, self.why, self.next_step, details)


class OutputMissingError(MLRunRuntimeError):
    """A declared output was never made."""


class MLRunMissingDependencyError(MLRunError, ImportError):
    """A package that this needs is not installed."""


class UntrustedArtifactError(MLRunError):
    """Reading the artifact could execute code, and nobody said that it may."""


class SecretNotFoundError(MLRunError, LookupError):
    """No store resolves the secret reference."""


class StoreError(MLRunError):
    """The home folder or its database cannot be used."""


class StoreUnreadableError(StoreError):
    """The store is damaged or may not be read."""


class StoreReadOnlyError(StoreError):
    """The store may not be written."""


class StoreFullError(StoreError):
    """No space is left for the store."""


class StoreTooNewError(StoreError):
    """A newer version of mlrun-jupyter wrote the store."""


class StreamAwayError(StoreError):
    """A stream of events does not answer; it may come back."""


class StreamTrimmedError(StoreError):
    """Events are gone from a stream that were not read yet. ``position`` is where it goes on, ``lost`` how many are gone, -1: nobody knows."""

    @property
    def position(self) -> dict[str, int]:
        return dict(self.details.get("position", {}))

    @property
    def lost(self) -> int:
        return int(self.details.get("lost", -1))


# MLRun's name for the root of its tree.
MLRunBaseError = MLRunError
