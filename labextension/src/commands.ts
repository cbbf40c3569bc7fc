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
  openFeature: 'mlrun:open-feature'
} as const;

/** The plugin that the settings belong to. */
export const SETTINGS = 'mlrun-jupyter:plugin';
