"""MLflow's pages and Dask's dashboard beside the panel: :mod:`.opening` answers who wants one, :mod:`.tickets` says who may see it,
:mod:`.mlflow` keeps MLflow's server, :mod:`.dask` finds the dashboard of a cluster, :mod:`.proxy` and :mod:`.websocket` pass on.
"""
