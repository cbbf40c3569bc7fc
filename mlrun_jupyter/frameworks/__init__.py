"""``apply_mlrun``: one line before ``fit``, and metrics, plots and the model are logged.

>>> from mlrun_jupyter.frameworks.sklearn import apply_mlrun
>>> apply_mlrun(model=model, model_name="my_model", x_test=x_test, y_test=y_test)
>>> model.fit(x_train, y_train)
"""
