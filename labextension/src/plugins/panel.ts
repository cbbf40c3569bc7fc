/** The side panel, its sections, and what a right click on a run offers. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, TranslationBundle, nullTranslator } from '@jupyterlab/translation';
import { createElement } from 'react';
import { RunSummary, TERMINAL } from '../api/types';
import { Commands } from '../commands';
import { mlrunIcon } from '../icon';
import { ArtifactsSection, FunctionsSection, RunsSection } from '../panel/lists';
import { IPanelMemory, Panel } from '../panel/view';
import { Sections } from '../sections';
import { IModel, ISections } from '../tokens';
import { abortRun, deleteRun } from '../run/ask';
import { attempt, copied } from '../views/pieces';

const MEMORY = 'mlrun-jupyter:panel';

export const sections: JupyterFrontEndPlugin<ISections> = {
  id: 'mlrun-jupyter:sections',
  description: 'The registry of the side panel’s sections.',
  autoStart: true,
  provides: ISections,
  activate: () => new Sections()
};

export const panel: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:panel',
  description: 'Functions, runs, artifacts and models in a side panel.',
  autoStart: true,
  requires: [IModel, ISections],
  optional: [ITranslator, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    registry: ISections,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const openArtifact = (uri: string) => void app.commands.execute(Commands.openArtifact, { uri });
    registry.add({
      id: 'functions',
      title: trans.__('Functions'),
      rank: 10,
      count: of => of.functions.count,
      render: of =>
        createElement(FunctionsSection, {
          model: of,
          open: each => void app.commands.execute(Commands.openFunction, { project: each.project, name: each.name })
        })
    });
    registry.add({
      id: 'runs',
      title: trans.__('Runs'),
      rank: 20,
      count: of => of.runs.count,
      render: of =>
        createElement(RunsSection, {
          model: of,
          open: run => void app.commands.execute(Commands.openRun, { uid: run.uid }),
          compare: uids => void app.commands.execute(Commands.compare, { uids })
        })
    });
    registry.add({
      id: 'artifacts',
      title: trans.__('Artifacts'),
      rank: 30,
      count: of => of.artifacts.count,
      render: of =>
        createElement(ArtifactsSection, {
          model: of,
          listing: 'artifacts',
          label: trans.__('Artifacts'),
          empty: trans.__('No artifacts yet. What a run returns or logs is kept here.'),
          open: openArtifact
        })
    });
    registry.add({
      id: 'models',
      title: trans.__('Models'),
      rank: 40,
      count: of => of.models.count,
      render: of =>
        createElement(ArtifactsSection, {
          model: of,
          listing: 'models',
          label: trans.__('Models'),
          empty: trans.__('No models yet. A run stores one with --returns name:model.'),
          open: openArtifact
        })
    });
    const links = [
      {
        label: trans.__('MLflow'),
        title: trans.__('Open MLflow'),
        open: () => void app.commands.execute(Commands.openMlflow)
      },
      {
        label: trans.__('Dask dashboard'),
        title: trans.__('Open the dashboard of the Dask cluster'),
        open: () => void app.commands.execute(Commands.openDask)
      }
    ];
    const side = new Panel(model, registry, remembered(state), links, trans);
    app.shell.add(side, 'left', { rank: 550 });
    restorer?.add(side, side.id);
    app.commands.addCommand(Commands.showPanel, {
      label: trans.__('Show the MLRun Panel'),
      icon: mlrunIcon,
      execute: () => app.shell.activateById(side.id)
    });
    addMenu(app, model, trans);
  }
};

async function remembered(state: IStateDB | null): Promise<IPanelMemory> {
  let open: Record<string, boolean> = { runs: true };
  try {
    open = { ...open, ...((await state?.fetch(MEMORY)) as Record<string, boolean> | undefined) };
  } catch (error) {
    console.warn('MLRun: which sections were open is not known.', error);
  }
  return { open, keep: next => void state?.save(MEMORY, next) };
}

/** The menu on a run of the list. */
function addMenu(app: JupyterFrontEnd, model: IModel, trans: TranslationBundle): void {
  const selector = '#mlrun-panel [data-section="runs"] .mlrun-Row';
  const hit = (): RunSummary | undefined => {
    const uid = app.contextMenuHitTest(node => !!node.dataset.key && node.matches(selector))?.dataset.key;
    return model.runs.items.find(each => each.uid === uid);
  };
  const over = () => {
    const run = hit();
    return !!run && TERMINAL.has(run.state);
  };
  const items: [string, string, (run: RunSummary) => unknown, (() => boolean)?][] = [
    ['open', trans.__('Open'), run => app.commands.execute(Commands.openRun, { uid: run.uid })],
    [
      'again',
      trans.__('Run Again'),
      async run => {
        const made = await model.client.send<{ uid: string }>('POST', `runs/${run.uid}/rerun`, {});
        await app.commands.execute(Commands.openRun, { uid: made.uid });
      },
      over
    ],
    ['abort', trans.__('Abort'), run => abortRun(model, run, trans), () => !over()],
    ['copy', trans.__('Copy URI'), run => copied(trans, `${run.project}@${run.uid}#${run.iteration}`)],
    ['delete', trans.__('Delete…'), run => deleteRun(model, run, trans), over]
  ];
  items.forEach(([name, label, call, enabled], rank) => {
    const command = `mlrun:row-${name}`;
    app.commands.addCommand(command, {
      label,
      isEnabled: enabled ?? (() => true),
      execute: () => {
        const run = hit();
        return run && attempt(async () => call(run));
      }
    });
    app.contextMenu.addItem({ command, selector, rank });
  });
}
