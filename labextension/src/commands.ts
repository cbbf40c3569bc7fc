/** The names of the commands; who wants a view asks for it by its command. */
export const Commands = {
  /** `{}`; shows the side panel. */
  showPanel: 'mlrun:show-panel',
  /** `{}`; asks for what the active cell is to be as a function. */
  turnIntoFunction: 'mlrun:turn-into-function',
  /** `{cwd?}`; a notebook to begin with. */
  newNotebook: 'mlrun:new-notebook',
  /** `{uid}` */
  openRun: 'mlrun:open-run',
  /** `{project, name}` or `{uri}` */
  openFunction: 'mlrun:open-function',
  /** `{uids}`, two to fifty. */
  compare: 'mlrun:compare-runs',
  /** `{uri}` */
  openArtifact: 'mlrun:open-artifact',
  /** `{project, kind, name}` or `{uri}` */
  openFeature: 'mlrun:open-feature',
  /** `{uid?}`; MLflow, or its page of a run. */
  openMlflow: 'mlrun:open-mlflow',
  /** `{uid?}`; the dashboard of the cluster that runs are on, or that a run was on. */
  openDask: 'mlrun:open-dask'
} as const;

/** The command that shows what an address of the store stands for; features have a view of their own. */
export function commandOf(uri: string): string {
  return uri.startsWith('store://feature-') ? Commands.openFeature : Commands.openArtifact;
}

/** The plugin that the settings belong to. */
export const SETTINGS = 'mlrun-jupyter:plugin';
