/** The side panel and its sections. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { createElement } from 'react';
import { Commands } from '../commands';
import { mlrunIcon } from '../icon';
import { ArtifactsSection, FunctionsSection, Panel, RunsSection } from '../panel/view';
import { Sections } from '../sections';
import { IModel, ISections } from '../tokens';

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
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    registry: ISections,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const copy = (text: string) => {
      Clipboard.copyToSystem(text);
      Notification.info(trans.__('Copied: %1', text), { autoClose: 3000 });
    };
    const openArtifact = (uri: string) => void app.commands.execute(Commands.openArtifact, { uri });
    registry.add({
      id: 'functions',
      title: trans.__('Functions'),
      rank: 10,
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
      render: of =>
        createElement(RunsSection, {
          model: of,
          open: run => void app.commands.execute(Commands.openRun, { uid: run.uid })
        })
    });
    registry.add({
      id: 'artifacts',
      title: trans.__('Artifacts'),
      rank: 30,
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
      render: of =>
        createElement(ArtifactsSection, {
          model: of,
          listing: 'models',
          label: trans.__('Models'),
          empty: trans.__('No models yet. A run stores one with --returns name:model.'),
          open: openArtifact
        })
    });
    const side = new Panel(model, registry, trans);
    app.shell.add(side, 'left', { rank: 550 });
    restorer?.add(side, side.id);
    app.commands.addCommand(Commands.showPanel, {
      label: trans.__('Show the MLRun Panel'),
      icon: mlrunIcon,
      execute: () => app.shell.activateById(side.id)
    });
  }
};
