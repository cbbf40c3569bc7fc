"""What is logged around the ``fit`` of a model with scikit-learn's interface. Names of metrics and plots are MLRun's."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from mlrun_jupyter.contexts import get_current_context, get_or_create_ctx
from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.runs.context import Context


class FitLogger:
    """Stands before a model's ``fit`` and logs what it made. Made by :func:`apply_mlrun`.

    :ivar model: the model itself.
    :ivar context: where it logs to.
    """

    def __init__(
        self, model: Any, name: str, context: Context, *, x_test: Any = None, y_test: Any = None, tag: str = "",
        labels: Mapping[str, str] | None = None, parameters: Mapping[str, Any] | None = None,
        y_columns: Sequence[str] = (), options: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.name = name
        self.context = context
        self._test = (x_test, y_test)
        self._tag = tag
        self._labels = dict(labels or {})
        self._parameters = dict(parameters or {})
        self._y_columns = list(y_columns)
        self._options = dict(options or {})
        self._trained: tuple[Any, Any] = (None, None)

    def watch(self) -> None:
        """Have every ``fit`` of the model logged."""
        fit = type(self.model).fit

        @functools.wraps(fit)
        def fit_and_log(X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
            # taken away before the model is stored: a wrapper is nothing that a safe format can hold
            del self.model.fit
            try:
                fitted = fit(self.model, X, y, *args, **kwargs)
                self._trained = (X, y)
                self.log()
            finally:
                self.watch()
            return fitted

        self.model.fit = fit_and_log

    def log(self) -> None:
        """Log metrics and plots on the test set, and the model. ``fit`` calls it by itself."""
        own = vars(self.model).pop("fit", None)
        try:
            metrics = self._evaluate()
            self.context.log_results(metrics)
            self.context.log_model(
                self.name, self.model, tag=self._tag, labels=self._labels, parameters=self._parameters,
                metrics=metrics, **self._training(), **self._options,
            )  # fmt: skip
        finally:
            if own is not None:
                self.model.fit = own

    def _evaluate(self) -> dict[str, float]:
        x, y = self._test
        if x is None or y is None:
            return {}
        predicted = self.model.predict(x)
        if _is_classifier(self.model):
            self._classification_plots(x, y, predicted)
            found = classification_metrics(self.model, x, y, predicted)
        else:
            found = regression_metrics(y, predicted)
        self._importance(x)
        if hasattr(x, "columns"):
            self.context.log_dataset("test_set", _joined(x, y, self._label(y))[0])
        return found

    def _training(self) -> dict[str, Any]:
        x, y = self._trained
        if not hasattr(x, "columns"):
            return {}
        frame, labels = _joined(x, y, self._label(y))
        return {"training_set": frame, "label_column": labels if len(labels) > 1 else (labels or [""])[0]}

    def _label(self, y: Any) -> list[str]:
        if self._y_columns:
            return self._y_columns
        if hasattr(y, "columns"):
            return [str(name) for name in y.columns]
        return [str(getattr(y, "name", None) or "label")] if y is not None else []

    def _classification_plots(self, x: Any, y: Any, predicted: Any) -> None:
        from sklearn.calibration import CalibrationDisplay
        from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

        self._plot("confusion-matrix", lambda axes: ConfusionMatrixDisplay.from_predictions(y, predicted, ax=axes, colorbar=False))
        scores = _scores(self.model, x)
        if scores is not None and scores.ndim == 1:
            self._plot("roc-curves", lambda axes: RocCurveDisplay.from_predictions(y, scores, ax=axes, pos_label=self.model.classes_[1]))
            self._plot(
                "calibration-curve",
                lambda axes: CalibrationDisplay.from_predictions(y, scores, ax=axes, pos_label=self.model.classes_[1], n_bins=10),
            )

    def _importance(self, x: Any) -> None:
        import numpy as np

        weights = getattr(self.model, "feature_importances_", None)
        if weights is None and getattr(self.model, "coef_", None) is not None:
            weights = np.abs(np.atleast_2d(self.model.coef_)).mean(axis=0)
        if weights is None:
            return
        columns = [str(name) for name in getattr(x, "columns", range(len(weights)))]
        best = np.argsort(weights)[-30:]

        def draw(axes: Any) -> None:
            axes.barh([columns[at] for at in best], np.asarray(weights)[best])
            axes.set(xlabel="importance")

        self._plot("feature-importance", draw)

    def _plot(self, key: str, draw: Any) -> None:
        from matplotlib.figure import Figure

        # a figure of its own: pyplot would show it in the notebook as well
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_title(key.replace("-", " "))
        self.context.log_figure(key, figure)


def classification_metrics(model: Any, x: Any, y: Any, predicted: Any) -> dict[str, float]:
    """``accuracy``; with two classes ``f1_score precision_score recall_score``, with more their macro averages and
    ``auc-micro auc-macro auc-weighted`` (one class against the rest), where the model gives scores."""
    from sklearn import metrics
    from sklearn.preprocessing import label_binarize

    classes = list(getattr(model, "classes_", sorted(set(y))))
    found = {"accuracy": metrics.accuracy_score(y, predicted)}
    how = {"pos_label": classes[1]} if len(classes) == 2 else {"average": "macro"}
    for name in ("f1_score", "precision_score", "recall_score"):
        found[name] = getattr(metrics, name)(y, predicted, zero_division=0, **how)
    scores = _scores(model, x)
    if len(classes) > 2 and scores is not None:
        truth = label_binarize(y, classes=classes)
        for average in ("micro", "macro", "weighted"):
            found[f"auc-{average}"] = metrics.roc_auc_score(truth, scores, average=average)
    return {name: float(value) for name, value in found.items()}


def regression_metrics(y: Any, predicted: Any) -> dict[str, float]:
    """``mean_absolute_error r2_score root_mean_squared_error mean_squared_error``, in the unit of ``y`` (squared)."""
    from sklearn import metrics

    names = ("mean_absolute_error", "r2_score", "root_mean_squared_error", "mean_squared_error")
    return {name: float(getattr(metrics, name)(y, predicted)) for name in names}


def _scores(model: Any, x: Any) -> Any:
    """Probabilities, or decision values: one column for two classes; ``None`` when the model has neither."""
    if hasattr(model, "predict_proba"):
        found = model.predict_proba(x)
        return found[:, 1] if found.shape[1] == 2 else found
    return model.decision_function(x) if hasattr(model, "decision_function") else None


def _is_classifier(model: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(model))


def _joined(x: Any, y: Any, labels: list[str]) -> tuple[Any, list[str]]:
    import pandas as pd

    if y is None:
        return x, []
    frame = pd.DataFrame(x).reset_index(drop=True)
    right = pd.DataFrame(y).reset_index(drop=True)
    right.columns = pd.Index(labels[: right.shape[1]] if len(labels) >= right.shape[1] else [f"label_{n}" for n in range(right.shape[1])])
    names = [name for name in right.columns if name not in frame.columns]
    return pd.concat([frame, right[names]], axis=1), [str(name) for name in names]


def apply_mlrun(
    model: Any = None,
    model_name: str = "model",
    tag: str = "",
    context: Context | None = None,
    x_test: Any = None,
    y_test: Any = None,
    y_columns: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    feature_vector: str = "",
    extra_data: Mapping[str, Any] | None = None,
) -> FitLogger:
    """Have the model's next ``fit`` logged: metrics and plots on the test set, and the model with its training statistics.

    :param model: with scikit-learn's interface (``fit``, ``predict``): scikit-learn, XGBoost, LightGBM.
    :param model_name: key of the model artifact.
    :param context: the run to log to; else the current one, else one that begins now.
    :param x_test: features to evaluate on, ``(rows, features)``; without them and ``y_test`` only the model is logged.
    :param y_columns: names for the labels, when ``y`` has none.
    :raises MLRunInvalidArgumentError: for a model without ``fit``.
    """
    if not hasattr(model, "fit") or not hasattr(model, "predict"):
        raise MLRunInvalidArgumentError(
            f"apply_mlrun needs a model with fit and predict, got {type(model).__name__}",
            next_step="pass model=…; for a training loop of your own use context.log_metric and context.log_model",
        )
    options = {"feature_vector": feature_vector, "extra_data": extra_data}
    made = FitLogger(
        model, model_name, context or get_current_context() or get_or_create_ctx("mlrun"), x_test=x_test, y_test=y_test, tag=tag, labels=labels,
        parameters=parameters, y_columns=y_columns, options={key: value for key, value in options.items() if value},
    )  # fmt: skip
    made.watch()
    return made
